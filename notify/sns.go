package notify

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// What SNS takes (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).
const (
	snsSubject = 99      // ASCII characters: fewer than 100
	snsText    = 200_000 // bytes of the 256 KiB, the rest for attributes
)

// snsPermanent are the errors that trying again does not cure.
var snsPermanent = []string{
	"NotFound", "NotFoundException", "InvalidParameter", "InvalidParameterValue", "AuthorizationError", "AuthorizationErrorException",
	"AccessDenied", "AccessDeniedException", "EndpointDisabled", "InvalidSecurity", "KMSDisabled", "KMSNotFound", "KMSAccessDenied",
}

// sns publishes a message. A FIFO topic drops a repeat within five minutes by its key; others hand
// it on, with the key among the attributes.
func (s *Sender) sns(ctx context.Context, c migration.SNSChannel, spec *migration.Spec, m migration.Message) (string, error) {
	target, ok := spec.Target(c.Target)
	if !ok {
		return "", permanent.New("NoTarget", nil, "the plan has no target %q any more", c.Target)
	}
	client, err := s.SNS(ctx, target)
	if err != nil {
		return "", err
	}
	in := &sns.PublishInput{
		TopicArn: &c.Topic, Subject: aws.String(ascii(m.Subject, snsSubject)), Message: aws.String(cut(m.Text, snsText)),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"key": text(m.Key), "kind": text(string(m.Notice.Kind)), "plan": text(m.Plan), "audience": text(string(m.Audience)),
		},
	}
	if strings.HasSuffix(c.Topic, ".fifo") {
		in.MessageDeduplicationId, in.MessageGroupId = &m.Key, &m.Plan
	}
	out, err := client.Publish(ctx, in)
	if err != nil {
		var api smithy.APIError
		if errors.As(err, &api) && slices.Contains(snsPermanent, api.ErrorCode()) {
			return "", permanent.New(api.ErrorCode(), err, "publish to topic %s; see that it is there and that the role may "+
				"sns:Publish to it", c.Topic)
		}
		return "", err
	}
	return aws.ToString(out.MessageId), nil
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// ascii is s in the characters that a subject of SNS may have.
func ascii(s string, most int) string {
	out := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return out[:min(len(out), most)]
}

// cut is s, whole or at the last character before a number of bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most]
}

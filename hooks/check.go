package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/drover-migration/drover/migration"
)

// Check says what keeps the hooks from being called by this worker. It calls none, and changes
// nothing. An error means that it could not be asked.
func (c *Caller) Check(ctx context.Context, spec *migration.Spec, hooks []migration.Hook) (out []migration.Finding, err error) {
	for _, h := range hooks {
		if h.Webhook != nil {
			if _, err := c.Prepare(ctx, h); err != nil {
				out = append(out, block("hook-unreachable", h, "correct the hook, set its secret on this worker, or let this worker reach "+
					"the address", "%v", err))
			}
			continue
		}
		found, err := c.checkDocument(ctx, spec, h)
		if err != nil {
			return nil, failed(h.Event, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func block(check string, h migration.Hook, remedy, reason string, args ...any) migration.Finding {
	return migration.Finding{Severity: migration.Blocker, Check: check, Subject: "hook " + string(h.Event),
		Reason: fmt.Sprintf(reason, args...), Remedy: remedy}
}

// checkDocument wants the document in each target where it is to run, with the plan's parameters,
// and instances that Systems Manager can know.
func (c *Caller) checkDocument(ctx context.Context, spec *migration.Spec, h migration.Hook) (out []migration.Finding, err error) {
	targets := map[string]bool{}
	for _, w := range spec.Workloads {
		if w.EC2 == nil || !h.Concerns(w) {
			continue
		}
		t, _ := spec.Target(w.Target)
		if !targets[t.Name] {
			targets[t.Name] = true
			found, err := c.checkIn(ctx, t, h)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
		found, err := c.checkProfile(ctx, t, w, h)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (c *Caller) checkIn(ctx context.Context, t migration.Target, h migration.Hook) ([]migration.Finding, error) {
	client, err := c.Machines.SSM(ctx, t)
	if err != nil {
		return nil, err
	}
	doc, err := client.DescribeDocument(ctx, &ssm.DescribeDocumentInput{Name: &h.SSM.Document})
	var missing *types.InvalidDocument
	switch {
	case errors.As(err, &missing):
		return []migration.Finding{block("hook-document", h, "create it, share it with the account, or correct the hook",
			"target %s has no document %s", t.Name, h.SSM.Document)}, nil
	case err != nil:
		return nil, classify(err, "look for document %s in target %s", h.SSM.Document, t.Name)
	}
	var known []string
	for _, p := range doc.Document.Parameters {
		known = append(known, aws.ToString(p.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(h.SSM.Parameters)) {
		if !slices.Contains(known, name) {
			return []migration.Finding{block("hook-document", h, "correct the hook's parameters, or add it to the document",
				"document %s in target %s has no parameter %q; it has: %s", h.SSM.Document, t.Name, name, strings.Join(known, ", "))}, nil
		}
	}
	return nil, nil
}

// managing are AWS's policies by which an instance signs in to Systems Manager.
var managing = []string{"AmazonSSMManagedInstanceCore", "AmazonSSMManagedEC2InstanceDefaultPolicy", "AmazonEC2RoleforSSM"}

// checkProfile wants a workload's instances to have a profile by which they can sign in. What
// policies of the user's own allow is not read: without one of AWS's it is a warning.
func (c *Caller) checkProfile(ctx context.Context, t migration.Target, w migration.Workload,
	h migration.Hook) ([]migration.Finding, error) {
	const remedy = "give its ec2.profile a role with AmazonSSMManagedInstanceCore"
	if w.EC2.Profile == "" {
		return []migration.Finding{block("hook-instances", h, remedy,
			"the instances of workload %s have no profile: Systems Manager cannot run a document on them", w.Name)}, nil
	}
	client, err := c.Machines.IAM(ctx, t)
	if err != nil {
		return nil, err
	}
	profile, err := client.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &w.EC2.Profile})
	var missing *iamtypes.NoSuchEntityException
	if errors.As(err, &missing) {
		return nil, nil // who checks the workload says so
	}
	if err != nil {
		return nil, classify(err, "look for instance profile %s", w.EC2.Profile)
	}
	for _, role := range profile.InstanceProfile.Roles {
		pages := iam.NewListAttachedRolePoliciesPaginator(client, &iam.ListAttachedRolePoliciesInput{RoleName: role.RoleName})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, classify(err, "read the policies of role %s", aws.ToString(role.RoleName))
			}
			for _, p := range page.AttachedPolicies {
				if slices.Contains(managing, aws.ToString(p.PolicyName)) {
					return nil, nil
				}
			}
		}
	}
	return []migration.Finding{{Severity: migration.Warning, Check: "hook-instances", Subject: "hook " + string(h.Event),
		Reason: fmt.Sprintf("profile %s of workload %s has none of AWS's policies for Systems Manager: whether a document can run on its "+
			"instances is not known", w.EC2.Profile, w.Name), Remedy: remedy}}, nil
}

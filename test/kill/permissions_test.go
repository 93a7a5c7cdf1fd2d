package kill

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/door"
	"github.com/drover-migration/drover/plans"
	"github.com/drover-migration/drover/worker/permissions"
)

// calls are what the product has asked of AWS, as IAM names the actions.
type calls struct {
	mu      sync.Mutex
	actions map[string]bool
	unknown map[string]bool // requests that are no known operation
}

// recordAWS notes every request that comes through the lab's doors to AWS.
func recordAWS(d *lab.Doors) *calls {
	c := &calls{actions: map[string]bool{}, unknown: map[string]bool{}}
	note := func(_ context.Context, r door.Request) door.Verdict {
		action := actionOf(r)
		c.mu.Lock()
		defer c.mu.Unlock()
		if action == "" {
			c.unknown[r.Service+" "+r.Method+" "+r.Path+"?"+r.Query] = true
		} else {
			c.actions[action] = true
		}
		return door.Verdict{}
	}
	d.AWS.Set(note)
	d.S3.Set(note)
	d.EBS.Set(note)
	return c
}

// actionOf is the IAM action of a request. Those of S3 and EBS direct are told by method and path.
func actionOf(r door.Request) string {
	switch r.Service {
	case "s3":
		return s3Action(r)
	case "ebs":
		return ebsAction(r)
	case "monitoring":
		return "cloudwatch:" + r.Action
	}
	if r.Service == "" || r.Action == "" {
		return ""
	}
	return r.Service + ":" + r.Action
}

func s3Action(r door.Request) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	has := func(parameter string) bool {
		return slices.ContainsFunc(strings.Split(r.Query, "&"), func(q string) bool { return strings.HasPrefix(q, parameter) })
	}
	switch {
	case key == "" && r.Method == "GET":
		return "s3:ListBucket"
	case r.Method == "GET" && has("uploadId"):
		return "s3:ListMultipartUploadParts"
	case r.Method == "GET", r.Method == "HEAD":
		return "s3:GetObject"
	case r.Method == "DELETE" && has("uploadId"):
		return "s3:AbortMultipartUpload"
	case r.Method == "DELETE":
		return "s3:DeleteObject"
	case r.Method == "PUT", r.Method == "POST":
		return "s3:PutObject"
	}
	return ""
}

func ebsAction(r door.Request) string {
	path := strings.Split(strings.Trim(r.Path, "/"), "/") // snapshots[/completion/ID | /ID/blocks[/N]]
	switch {
	case r.Method == "POST" && len(path) == 1:
		return "ebs:StartSnapshot"
	case r.Method == "POST" && len(path) == 3:
		return "ebs:CompleteSnapshot"
	case r.Method == "PUT" && len(path) == 4:
		return "ebs:PutSnapshotBlock"
	case r.Method == "GET" && len(path) == 3:
		return "ebs:ListSnapshotBlocks"
	case r.Method == "GET" && len(path) == 4:
		return "ebs:GetSnapshotBlock"
	}
	return ""
}

// Why an action is allowed that this migration did not ask for.
const (
	byAWS  = "AWS checks it within a call that makes, tags or encrypts something"
	ending = "an abort takes out what was made"
	rare   = "it had no occasion: a large file that was cut off, a copy that was given up, rules without room between them, other settings"
)

var unasked = map[string]string{
	"ec2:CreateTags": byAWS, "ecs:TagResource": byAWS, "elasticloadbalancing:AddTags": byAWS, "iam:PassRole": byAWS,
	"kms:CreateGrant": byAWS, "kms:Decrypt": byAWS, "kms:GenerateDataKey": byAWS, "kms:GenerateDataKeyWithoutPlaintext": byAWS,
	"kms:ReEncrypt*": byAWS,

	"ec2:DeregisterImage": ending, "ec2:TerminateInstances": ending, "ecs:DeleteService": ending, "ecs:ListTaskDefinitions": ending,
	"ecs:DeregisterTaskDefinition": ending, "elasticloadbalancing:DeleteRule": ending, "elasticloadbalancing:DeleteTargetGroup": ending,
	"s3:DeleteObject": ending,

	"ec2:DeleteSnapshot": rare, "ecs:UpdateService": rare, "elasticloadbalancing:SetRulePriorities": rare, "s3:AbortMultipartUpload": rare,
	"s3:ListMultipartUploadParts": rare,
}

// held wants every call allowed by the plan's policies, and every action of theirs asked for.
func (c *calls) held(t *testing.T, plan string) {
	t.Helper()
	p, err := plans.Load(plan)
	require.NoError(t, err)
	spec, err := plans.Compile(p)
	require.NoError(t, err)
	allowed := map[string]bool{}
	for _, g := range permissions.Of(spec) {
		for _, s := range g.Policy.Statement {
			for _, a := range s.Action {
				allowed[a] = true
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.unknown, "requests that are no known operation")
	delete(c.actions, "sts:GetCallerIdentity") // everybody may
	for _, a := range slices.Sorted(maps.Keys(c.actions)) {
		require.Contains(t, allowed, a, "it was asked for, and no policy of the plan allows it")
		require.NotContains(t, unasked, a, "it was asked for after all")
		delete(allowed, a)
	}
	require.Equal(t, slices.Sorted(maps.Keys(unasked)), slices.Sorted(maps.Keys(allowed)), "allowed, and not asked for")
}

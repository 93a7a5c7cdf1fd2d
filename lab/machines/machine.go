package machines

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Machine is one process to keep.
type Machine struct {
	ID      string            // "vm/web-01", "i-0abc", "arn:...:task/..."
	Name    string            // for people
	Side    string            // onprem | aws
	Address string            // its own, without a port
	Env     map[string]string // what the machine's configuration tells the application
}

// key changes exactly if the process must be another.
func (m Machine) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", m.ID, m.Side, m.Address)
	for _, k := range slices.Sorted(maps.Keys(m.Env)) {
		fmt.Fprintf(&b, "\n%s=%s", k, m.Env[k])
	}
	return b.String()
}

// VMs are the powered-on machines on premises. The lab's vCenter gives them.
type VMs interface {
	VMs() []Machine
}

// VMsFunc is a function as VMs.
type VMsFunc func() []Machine

// VMs calls f.
func (f VMsFunc) VMs() []Machine { return f() }

// Disks are the block store, and what was exported from the VMs.
type Disks interface {
	// SnapshotDigest reads a snapshot back block by block and gives the SHA-256 of the whole disk,
	// hex.
	SnapshotDigest(snapshot string) (string, error)
	// Exported says whether a disk with this digest has ever been exported from a VM.
	Exported(digest string) bool
}

// Instance is what moto says of an EC2 instance or of a task: GET /lab/machines.
type Instance struct {
	Kind      string            `json:"kind"` // ec2 | ecs
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	State     string            `json:"state"`
	Address   string            `json:"address"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Snapshots []string          `json:"snapshots"` // of the volumes it was launched from, root first
	UserData  string            `json:"userData"`
	Env       map[string]string `json:"env"`
	Secrets   map[string]string `json:"secrets"` // variable -> Secrets Manager ARN or name
}

func (i Instance) running() bool { return strings.EqualFold(i.State, "running") && i.Address != "" }

// userDataEnv reads what cloud-init would put into the environment: lines of KEY=VALUE, with or
// without export and quotes, wherever they stand in a script; or one JSON object.
func userDataEnv(text string) map[string]string {
	if env, ok := jsonEnv(text); ok {
		return env
	}
	env := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		k, v, ok := strings.Cut(line, "=")
		if ok && variable(k) {
			env[k] = unquote(strings.TrimSpace(v))
		}
	}
	return env
}

func variable(k string) bool {
	for i, r := range k {
		if r != '_' && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return k != ""
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

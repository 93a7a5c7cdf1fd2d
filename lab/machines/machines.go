package machines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Config of a Controller.
type Config struct {
	// Command runs the application, its configuration in the environment: the lab's own binary and
	// "app".
	Command []string
	// Port of the application on every machine.
	Port int
	// AdminPort of the application's fault endpoint on every machine; 0: none.
	AdminPort int
	// Tenants is the table of tenants, a file or a URL.
	Tenants string
	// AWSEnv is what an instance profile and its region would give a machine on AWS: credentials,
	// region, endpoints.
	AWSEnv map[string]string
	// AWS is moto's URL; empty: no machines on AWS.
	AWS string
	// VMs on premises; nil: none.
	VMs VMs
	// Disks of EC2 instances are checked against what was exported; nil: not checked.
	Disks Disks
	// Log gets the processes' standard error and what the controller has to say; nil: nowhere.
	Log io.Writer
}

// vmPoll is how often the VMs are asked for: reading a list in memory.
const vmPoll = 100 * time.Millisecond

// Controller keeps processes for machines.
type Controller struct {
	conf Config
	wake chan struct{}

	mu        sync.Mutex
	onAWS     []Machine
	processes map[string]*life             // by Machine.ID
	refused   map[string]string            // instance or task -> why it is not served
	secret    map[string]map[string]string // task -> what its secrets said when it started
	good      map[string]bool              // snapshots that were read back and are disks that were exported
}

// New makes a Controller; Run makes it work.
func New(c Config) *Controller {
	if c.Log == nil {
		c.Log = io.Discard
	}
	return &Controller{conf: c, wake: make(chan struct{}, 1), processes: map[string]*life{}, refused: map[string]string{},
		good: map[string]bool{}, secret: map[string]map[string]string{}}
}

// Run keeps the processes until ctx ends, then stops them all and returns.
func (c *Controller) Run(ctx context.Context) {
	var watching sync.WaitGroup
	if c.conf.AWS != "" {
		watching.Go(func() { c.watchAWS(ctx) })
	}
	tick := time.NewTicker(vmPoll)
	defer tick.Stop()
	for ctx.Err() == nil {
		c.reconcile()
		select {
		case <-tick.C:
		case <-c.wake:
		case <-ctx.Done():
		}
	}
	watching.Wait()
	c.stopAll()
}

// Poke makes the Controller look at the VMs now.
func (c *Controller) Poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Running lists the machines that have a process.
func (c *Controller) Running() []Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Machine
	for _, p := range c.processes {
		out = append(out, p.machine)
	}
	return out
}

// Refused lists the instances and tasks that do not serve, with the reason.
func (c *Controller) Refused() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for k, v := range c.refused {
		out[k] = v
	}
	return out
}

// Admin lists the fault endpoints (host:port) of a side's processes.
func (c *Controller) Admin(side string) []string {
	var out []string
	for _, m := range c.Running() {
		if m.Side == side && c.conf.AdminPort != 0 {
			out = append(out, net.JoinHostPort(m.Address, strconv.Itoa(c.conf.AdminPort)))
		}
	}
	return out
}

func (c *Controller) watchAWS(ctx context.Context) {
	version, wait := -1, 20
	for ctx.Err() == nil {
		var got struct {
			Version  int        `json:"version"`
			Machines []Instance `json:"machines"`
		}
		url := fmt.Sprintf("%s/lab/machines?since=%d&wait=%d", c.conf.AWS, version, wait)
		if err := getJSON(ctx, url, &got); err != nil {
			if ctx.Err() == nil {
				c.logf("ask AWS for its machines: %v", err)
			}
			pause(ctx, time.Second)
			continue
		}
		if got.Version == version && wait == 20 {
			continue
		}
		machines, all := c.startable(ctx, got.Machines)
		version, wait = got.Version, 20
		if !all {
			wait = 1 // what could not start is tried again soon
		}
		c.mu.Lock()
		c.onAWS = machines
		c.mu.Unlock()
		c.Poke()
	}
}

func (c *Controller) reconcile() {
	want := map[string]Machine{}
	if c.conf.VMs != nil {
		for _, m := range c.conf.VMs.VMs() {
			want[m.ID] = m
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.onAWS {
		want[m.ID] = m
	}
	for id, p := range c.processes {
		if m, ok := want[id]; !ok || m.key() != p.machine.key() {
			delete(c.processes, id)
			go p.stop()
		}
	}
	for id, m := range want {
		if c.processes[id] == nil {
			c.processes[id] = c.start(m)
		}
	}
}

// startable is what runs on AWS and may be served, and whether that is all of it.
func (c *Controller) startable(ctx context.Context, instances []Instance) (out []Machine, all bool) {
	all = true
	for _, i := range instances {
		if !i.running() {
			continue
		}
		m := Machine{ID: i.ID, Name: i.Name, Side: "aws", Address: i.Address, Env: map[string]string{}}
		if m.Name == "" {
			m.Name = i.ID
		}
		if i.Region != "" {
			m.Env["AWS_REGION"] = i.Region
		}
		why := ""
		if i.Kind == "ec2" {
			merge(m.Env, userDataEnv(i.UserData))
			why = c.bootable(i)
		} else {
			merge(m.Env, i.Env)
			secrets, err := c.secretsOnce(ctx, i)
			merge(m.Env, secrets)
			if err != nil {
				why = err.Error() // ECS calls it ResourceInitializationError
			}
		}
		c.refuse(i.ID, why)
		if why == "" {
			out = append(out, m)
		}
		all = all && why == ""
	}
	return out, all
}

// bootable says why the instance is not served: its disks must be disks that were exported from a
// VM. "" serves it.
func (c *Controller) bootable(i Instance) string {
	if c.conf.Disks == nil {
		return ""
	}
	if len(i.Snapshots) == 0 {
		return "it was launched from no snapshot"
	}
	for _, s := range i.Snapshots {
		if why := c.checkDisk(s); why != "" {
			return why
		}
	}
	return ""
}

// checkDisk reads a snapshot back, and once it was found good never again: a completed snapshot
// does not change.
func (c *Controller) checkDisk(snapshot string) string {
	c.mu.Lock()
	good := c.good[snapshot]
	c.mu.Unlock()
	if good {
		return ""
	}
	digest, err := c.conf.Disks.SnapshotDigest(snapshot)
	if err != nil {
		return fmt.Sprintf("snapshot %s cannot be read back: %v", snapshot, err)
	}
	if !c.conf.Disks.Exported(digest) {
		return fmt.Sprintf("snapshot %s (SHA-256 %s) is no disk that was exported from a VM", snapshot, digest)
	}
	c.mu.Lock()
	c.good[snapshot] = true
	c.mu.Unlock()
	return ""
}

// refuse records, and says once, why an instance is not served; "" forgets it.
func (c *Controller) refuse(id, why string) {
	c.mu.Lock()
	said := c.refused[id] == why
	if why == "" {
		delete(c.refused, id)
	} else {
		c.refused[id] = why
	}
	c.mu.Unlock()
	if !said && why != "" {
		c.logf("%s does not start: %s", id, why)
	}
}

func (c *Controller) stopAll() {
	c.mu.Lock()
	processes := c.processes
	c.processes = map[string]*life{}
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range processes {
		all.Go(p.stop)
	}
	all.Wait()
}

func (c *Controller) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(c.conf.Log, "machines: "+format+"\n", args...)
}

func jsonEnv(text string) (map[string]string, bool) {
	var env map[string]string
	err := json.Unmarshal([]byte(text), &env)
	return env, err == nil && env != nil
}

func merge(into, from map[string]string) {
	for k, v := range from {
		into[k] = v
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("GET %s: %s", url, res.Status), err)
	}
	return json.Unmarshal(body, into)
}

// pause waits before something is asked again that failed.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

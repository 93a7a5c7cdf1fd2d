package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/route53"

	"github.com/drover-migration/drover/lab/aws"
	"github.com/drover-migration/drover/lab/dns"
	"github.com/drover-migration/drover/lab/ebs"
	"github.com/drover-migration/drover/lab/inbox"
	"github.com/drover-migration/drover/lab/lb"
	"github.com/drover-migration/drover/lab/machines"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/lab/temporal"
	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

// Options of a lab.
type Options struct {
	Tools string // folder of the tools that `make setup` made
	Dir   string // for everything the lab keeps, its own while it runs; emptied by Start and removed by Close
	Self  string // the lab's own binary, run as `SELF app` on every machine
	Shape Shape
	UI    bool      // Temporal's UI
	Log   io.Writer // what the lab has to say; nil: nowhere
	// HistoryEvents is after how many events workflows continue as new; 0: the server's default.
	HistoryEvents int
	Doors         bool // the product reaches databases and AWS through Lab.Doors
}

// Lab is a running laboratory.
type Lab struct {
	Shape                             Shape
	Plan                              string // file of the plan
	VPC, Listener, GroupWeb, GroupAPI string
	Zone, Entry                       string // of customers that are found by name: hosted zone, listener; empty: there are none
	Subnets                           []string
	VCenterURL, VCenterCA, Database   string
	FilesDir, Account, Region         string
	AppPort                           int
	Doors                             *Doors // nil: there are none

	// Of a Shape that Tells: where its people get what they are told, and the files of the private
	// key that evidence is signed with and of its public half.
	Inbox                       *inbox.Inbox
	EvidenceKey, EvidencePublic string

	opts        Options
	net         *network
	ports       ports
	temporal    *temporal.Server
	vcenter     *vcenter.VCenter
	aws         *aws.AWS
	blocks      *ebs.Server
	onprem, rds *pg.Server
	drover, app [2]role // on premises, on AWS
	machines    *machines.Controller
	motoURL     string
	s3URL       string
	before      *verify.Before

	mu      sync.Mutex
	cleanup []func()
}

// vCenter's administrator.
const (
	vcUser     = "administrator@vsphere.local"
	vcPassword = "lab-vcenter"
)

// Start starts a lab and waits until its customers could be served. Error: ErrRuns where one runs
// in the folder.
func Start(ctx context.Context, o Options) (_ *Lab, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	own, err := takeFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	l := &Lab{opts: o, Shape: o.Shape, FilesDir: filepath.Join(o.Dir, "files"), Account: Account, Region: Region}
	l.later(own.leave)
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.net, err = findNetwork(); err != nil {
		return nil, err
	}
	l.later(l.net.close)
	if l.ports, err = findPorts(l.net.control(), o.Log); err != nil {
		return nil, err
	}
	l.AppPort = l.ports.app
	if o.Doors {
		if err := l.openDoors(); err != nil {
			return nil, err
		}
	}
	if err := l.together(ctx, l.startTemporal, l.startDatabases, l.startAWS, l.startVCenter); err != nil {
		return nil, err
	}
	l.Database = l.databaseAddress(migration.OnPrem)
	for _, step := range []func(context.Context) error{l.buildAccount, l.startEdge, l.startMachines, l.startInbox} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for _, write := range []func() error{l.writePlan, l.writeUserData, l.writeEnv} {
		if err := write(); err != nil {
			return nil, err
		}
	}
	if err := l.lookBefore(ctx); err != nil {
		return nil, err
	}
	if err := own.say(holder{PID: os.Getpid(), URL: l.UI()}); err != nil {
		return nil, err
	}
	return l, l.awaitService(ctx)
}

// Close stops everything, the last first, and leaves nothing behind.
func (l *Lab) Close() {
	l.mu.Lock()
	todo := l.cleanup
	l.cleanup = nil
	l.mu.Unlock()
	for _, f := range slices.Backward(todo) {
		f()
	}
}

// at is host:port.
func at(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func (l *Lab) later(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanup = append(l.cleanup, f)
}

// together runs steps at once and hands on all their errors.
func (l *Lab) together(ctx context.Context, steps ...func(context.Context) error) error {
	errs := make([]error, len(steps))
	var all sync.WaitGroup
	for i, step := range steps {
		all.Go(func() { errs[i] = step(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (l *Lab) dir(name string) (string, error) {
	d := filepath.Join(l.opts.Dir, name)
	return d, os.MkdirAll(d, 0o755)
}

func (l *Lab) startTemporal(ctx context.Context) error {
	dir, err := l.dir("temporal")
	if err != nil {
		return err
	}
	if l.temporal, err = temporal.Start(ctx,
		temporal.Options{Tools: l.opts.Tools, Dir: dir, UI: l.opts.UI, HistoryEvents: l.opts.HistoryEvents}); err != nil {
		return err
	}
	l.later(func() { l.temporal.Kill() })
	return nil
}

// startAWS starts moto, S3 and the block store.
func (l *Lab) startAWS(ctx context.Context) error {
	dir, err := l.dir("aws")
	if err != nil {
		return err
	}
	if l.aws, err = aws.Start(ctx, aws.Options{Tools: l.opts.Tools, Dir: dir, Listen: at(l.net.moto(), l.ports.moto),
		RDSEndpoint: l.databaseAddress(migration.AWS)}); err != nil {
		return err
	}
	l.later(func() { _ = l.aws.Close() })
	l.motoURL = l.aws.Endpoint()
	if dir, err = l.dir("s3"); err != nil {
		return err
	}
	store, err := aws.StartS3(ctx, aws.S3Options{Tools: l.opts.Tools, Dir: dir, Listen: at(l.net.s3(), l.ports.s3), AccessKey: accessKey,
		SecretKey: secretKey, Region: Region})
	if err != nil {
		return err
	}
	l.later(func() { _ = store.Close() })
	l.s3URL = store.Endpoint()
	if dir, err = l.dir("ebs"); err != nil {
		return err
	}
	if l.blocks, err = ebs.Start(ctx, ebs.Options{Listen: at(l.net.ebs(), l.ports.ebs), Dir: dir, MotoEndpoint: l.motoURL}); err != nil {
		return err
	}
	l.later(func() { _ = l.blocks.Close() })
	return nil
}

// startVCenter starts a vCenter with the three machines of the application.
func (l *Lab) startVCenter(ctx context.Context) error {
	dir, err := l.dir("vcenter")
	if err != nil {
		return err
	}
	vms := Machines()
	for i := range vms {
		vms[i].Address = l.net.vm(i)
	}
	l.vcenter, err = vcenter.Start(ctx, vcenter.Options{Listen: at(l.net.vcenter(), l.ports.vcenter), Dir: dir, VMs: vms,
		Username: vcUser, Password: vcPassword})
	if err != nil {
		return err
	}
	l.later(func() { _ = l.vcenter.Close() })
	l.VCenterURL = l.vcenter.URL()
	l.VCenterCA = filepath.Join(l.opts.Dir, "vcenter-ca.pem")
	return os.WriteFile(l.VCenterCA, l.vcenter.CAPEM(), 0o644)
}

// Machines are the three virtual machines of the application, without addresses.
func Machines() (out []vcenter.VM) {
	for _, name := range []string{"web-01", "web-02", "api-01"} {
		out = append(out, vcenter.VM{Name: name, CPUs: 2, MemoryMB: 4096, DiskBytes: []int64{diskBytes}, Folder: "production",
			Tags: []string{"tier:" + name[:3]}})
	}
	return out
}

// diskBytes is the size of a machine's disk: large enough for many blocks, small enough to read
// back whole.
const diskBytes = 64 << 20

// startEdge starts the load balancer and the name server.
func (l *Lab) startEdge(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	l.later(func() { stop(); done.Wait() })
	listener, err := net.Listen("tcp", l.Edge())
	if err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	done.Go(func() { _ = lb.New(l.motoURL, l.ports.edge).Serve(run, listener) })
	names := &dns.Server{LoadBalancer: net.ParseIP(l.net.balancer())}
	if l.Zone != "" {
		names.Records = dns.NewRoute53(route53.NewFromConfig(l.AWSConfig()))
		if err := l.startEntry(run, &done); err != nil {
			return err
		}
	}
	if l.Doors != nil {
		l.Doors.Names = names
	}
	return names.Listen(run, l.DNS())
}

// Edge is where the load balancer takes requests, host:port.
func (l *Lab) Edge() string { return at(l.net.balancer(), l.ports.edge) }

// DNS is the address of the name server.
func (l *Lab) DNS() string { return at(l.net.names(), l.ports.names) }

// startMachines runs the application on every machine that is powered on, here and on AWS.
func (l *Lab) startMachines(ctx context.Context) error {
	tenants := filepath.Join(l.opts.Dir, "tenants.json")
	table := map[string]map[string]any{}
	for _, c := range l.Shape.Customers() {
		table[c.Host] = map[string]any{"customer": c.ID, "tenant": c.Tenant}
	}
	body, err := json.Marshal(table)
	if err != nil {
		return err
	}
	if err := os.WriteFile(tenants, body, 0o644); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(l.opts.Dir, "machines.log"))
	if err != nil {
		return err
	}
	l.machines = machines.New(machines.Config{
		Command: []string{l.opts.Self, "app"}, Port: l.ports.app, AdminPort: l.ports.admin, Tenants: tenants, AWS: l.motoURL,
		Disks: disks{l}, Log: out,
		AWSEnv: l.awsEnv(), VMs: machines.VMsFunc(l.poweredOn),
	})
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { l.machines.Run(run) })
	l.later(func() { stop(); done.Wait(); _ = out.Close() })
	return nil
}

// poweredOn are the machines on premises, with what their configuration files say.
func (l *Lab) poweredOn() (out []machines.Machine) {
	on := l.vcenter.PoweredOn()
	for i, name := range []string{"web-01", "web-02", "api-01"} {
		if on[name] {
			out = append(out, machines.Machine{ID: "vm/" + name, Name: name, Side: "onprem", Address: l.net.vm(i), Env: map[string]string{
				"DB_DSN": l.onprem.DSNAs(l.app[0].name, l.app[0].password, database), "FILES": filepath.Join(l.FilesDir, "{customer}"),
			}})
		}
	}
	return out
}

// PoweredOn are the machines on premises that run.
func (l *Lab) PoweredOn() (out []string) {
	for _, m := range l.poweredOn() {
		out = append(out, m.Name)
	}
	return out
}

// disks joins the block store to what was exported from the machines.
type disks struct{ l *Lab }

func (d disks) SnapshotDigest(id string) (string, error) {
	digest, _, err := d.l.blocks.ReadDigest(id)
	return digest, err
}

func (d disks) Exported(digest string) bool {
	for _, e := range d.l.vcenter.Exports() {
		if e.SHA256 == digest {
			return true
		}
	}
	return false
}

// writeUserData writes what a converted machine is told on AWS.
func (l *Lab) writeUserData() error {
	text := "#!/bin/sh\n# what this machine is told on AWS that it was told otherwise at home\nexport DB_SECRET=orders/app\nexport " +
		"FILES='s3://attachments/{customer}'\n"
	return os.WriteFile(filepath.Join(l.opts.Dir, "web-userdata.sh"), []byte(text), 0o644)
}

func (l *Lab) awsEnv() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": l.motoURL, "AWS_ENDPOINT_URL_S3": l.s3URL, "AWS_ENDPOINT_URL_EBS": l.blocks.Endpoint(), "AWS_REGION": Region,
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true",
	}
}

// Env is what the product is told to find this lab: settings that any user could make.
func (l *Lab) Env() map[string]string {
	env := l.awsEnv()
	env["TEMPORAL_ADDRESS"] = l.temporal.Address()
	env["ORDERS_ONPREM"] = l.droverDSN(database)
	if l.Shape.Archive {
		env["ARCHIVE_ONPREM"] = l.droverDSN(archive)
	}
	if l.Doors != nil {
		env["AWS_ENDPOINT_URL"], env["AWS_ENDPOINT_URL_S3"] = l.Doors.AWS.URL(), l.Doors.S3.URL()
		env["AWS_ENDPOINT_URL_EBS"] = l.Doors.EBS.URL()
	}
	if l.Inbox != nil {
		env["ROOM_SECRET"], env["MAIL_ACCOUNT"] = inbox.Secret, inbox.Account()
	}
	env["VSPHERE"] = fmt.Sprintf(`{"username":%q,"password":%q}`, vcUser, vcPassword)
	env["DROVER_DNS"], env["DROVER_ZONE_SERVERS"] = l.DNS(), l.DNS()
	env["DROVER_PG_BIN"] = filepath.Join(l.opts.Tools, "pg", "bin")
	return env
}

// EnvFile is where Env is written, as shell exports.
func (l *Lab) EnvFile() string { return filepath.Join(l.opts.Dir, "env.sh") }

func (l *Lab) writeEnv() error {
	var b strings.Builder
	env := l.Env()
	keys := make([]string, 0, len(env))
	for k := range env {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "export %s='%s'\n", k, strings.ReplaceAll(env[k], "'", `'\''`))
	}
	return os.WriteFile(l.EnvFile(), []byte(b.String()), 0o600)
}

// UI is the URL of Temporal's UI.
func (l *Lab) UI() string { return l.temporal.UI() }

// TemporalAddress is the frontend of Temporal, host:port.
func (l *Lab) TemporalAddress() string { return l.temporal.Address() }

// awaitService waits until every customer is answered through the load balancer.
func (l *Lab) awaitService(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, c := range l.Shape.Customers() {
		for {
			err := l.ask(ctx, c)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("customer %s is not served: %w", c.ID, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

func (l *Lab) ask(ctx context.Context, c Customer) error {
	res, err := l.get(ctx, c, "/healthz")
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// Break makes the application fail on AWS for a customer's host, and Repair mends it. Mode:
// error500 | slow.
func (l *Lab) Break(ctx context.Context, host, mode string) error { return l.fault(ctx, host, mode) }

// Repair mends what Break broke.
func (l *Lab) Repair(ctx context.Context, host string) error { return l.fault(ctx, host, "off") }

func (l *Lab) fault(ctx context.Context, host, mode string) error {
	body, err := json.Marshal(map[string]string{"host": host, "mode": mode})
	if err != nil {
		return err
	}
	for _, admin := range l.machines.Admin("aws") {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+admin+"/fault", strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("fault at %s: %w", admin, err)
		}
		_ = res.Body.Close()
		if res.StatusCode >= 300 {
			return fmt.Errorf("fault at %s: %s", admin, res.Status)
		}
	}
	return nil
}

// StartWorker starts the product's worker as its users do: the shipped binary with the lab's
// settings. At says where it finds Temporal; empty: the lab's own.
func (l *Lab) StartWorker(name, binary, at string, args ...string) (*process.Process, error) {
	return l.startProduct(name, binary, at, append([]string{"worker"}, args...))
}

// StartCommand starts another command of the product's that goes on until the lab ends.
func (l *Lab) StartCommand(name, binary string, args ...string) (*process.Process, error) {
	return l.startProduct(name, binary, "", args)
}

func (l *Lab) startProduct(name, binary, at string, args []string) (*process.Process, error) {
	env := l.Environ()
	if at != "" {
		env = append(env, "TEMPORAL_ADDRESS="+at)
	}
	dir, err := l.dir("workers")
	if err != nil {
		return nil, err
	}
	p, err := process.Start(process.Options{Name: name, Path: binary, Args: args, Env: env, LogDir: dir, Dir: l.opts.Dir})
	if err != nil {
		return nil, err
	}
	l.later(p.Close)
	return p, nil
}

package vcenter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Options of a vCenter.
type Options struct {
	Listen             string // host:port; port 0: any
	Dir                string // where a folder is made for the datastore's files, which Close removes; empty: the system's temporary folder
	VMs                []VM
	Username, Password string
	LeaseTimeout       time.Duration // after which a lease that nobody reports on ends, whole seconds; 0: five minutes, as vCenter has it
}

// VM to be there, powered on unless it says otherwise.
type VM struct {
	Name      string
	Address   string // as the guest tools say
	CPUs      int
	MemoryMB  int
	DiskBytes []int64  // multiples of 512
	Folder    string   // path below the datacenter's vm folder; empty: none
	Tags      []string // "category:tag"
	Firmware  string   // bios | efi; empty: bios
	Guest     string   // guest id; empty: ubuntu64Guest
	Off       bool     // powered off
	NoTools   bool     // its guest tools do not run
	Deaf      bool     // its guest does not listen when it is asked to shut down
	Untracked bool     // without changed block tracking
	// Awkward changes the VM after it was made: raw device mappings, encryption, a lost host, and
	// what else stands in the way. It must not take away disks.
	Awkward func(*mo.VirtualMachine)
}

// VCenter is a running simulator. It is safe for concurrent use.
type VCenter struct {
	opts   Options
	model  *simulator.Model
	http   *simulator.Server
	ca     []byte
	sha1   string
	sha256 string
	dir    string // of the files
	files  []*os.File

	// What was built, not changed after Start.
	names    map[types.ManagedObjectReference]string
	disks    map[types.ManagedObjectReference][]*disk
	unheard  map[types.ManagedObjectReference]bool
	leases   leases
	sessions http.Handler // the simulator's own

	mu       sync.Mutex
	exports  []Export
	password string
	refused  int
}

// Start makes the machines and serves until Close. Datacenter DC0 has one cluster of one host, and
// exactly the machines asked for.
func Start(ctx context.Context, o Options) (*VCenter, error) {
	log.SetOutput(io.Discard) // the simulator talks through the standard logger, and of nothing but requests
	if o.LeaseTimeout == 0 {
		o.LeaseTimeout = 5 * time.Minute
	}
	m := simulator.VPX()
	m.Datacenter, m.Cluster, m.ClusterHost, m.Host, m.Machine, m.Datastore = 1, 1, 1, 0, 0, 0
	if err := m.Create(); err != nil {
		return nil, fmt.Errorf("vCenter: %w", err)
	}
	v := &VCenter{
		opts: o, model: m, names: map[types.ManagedObjectReference]string{}, disks: map[types.ManagedObjectReference][]*disk{},
		unheard: map[types.ManagedObjectReference]bool{}, password: o.Password,
	}
	for _, step := range []func() error{v.settle, v.serve, func() error { return v.build(ctx) }} {
		if err := step(); err != nil {
			_ = v.Close()
			return nil, fmt.Errorf("vCenter on %s: %w", o.Listen, err)
		}
	}
	return v, nil
}

// settle makes a folder of our own where files were asked for, and moves the simulator's there:
// Close must remove nothing of others.
func (v *VCenter) settle() error {
	if v.opts.Dir != "" {
		if err := os.MkdirAll(v.opts.Dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(v.opts.Dir, "vcenter-")
	if err != nil {
		return err
	}
	v.dir = dir
	for _, s := range v.model.Map().OptionManager().Setting {
		if home := s.GetOptionValue(); home.Key == "vcsim.home" {
			if err := os.Remove(fmt.Sprint(home.Value)); err != nil {
				return err
			}
			home.Value = dir
		}
	}
	return nil
}

// serve starts to listen.
func (v *VCenter) serve() (err error) {
	host, _, err := net.SplitHostPort(v.opts.Listen)
	if err != nil {
		return err
	}
	cert, err := certificate(host)
	if err != nil {
		return err
	}
	v.ca = pemOf(cert)
	v.sha1, v.sha256 = soap.ThumbprintSHA1(cert.Leaf), soap.ThumbprintSHA256(cert.Leaf)
	s := v.model.Service
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.RegisterEndpoints = true
	s.Listen = &url.URL{Host: v.opts.Listen, User: url.UserPassword(v.opts.Username, v.opts.Password)}
	v.model.Map().Handler = v.dispatch
	v.model.Map().SessionManager().ValidLogin = v.admit
	defer func() { // the simulator panics where it cannot listen
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	v.http = s.NewServer()
	v.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.sessions = v.http.Config.Handler
	mux := http.NewServeMux()
	mux.HandleFunc("/nfc/{ticket}/{file}", v.serveExport)
	mux.HandleFunc("/nfc/", http.NotFound) // the simulator's own asks for nothing
	mux.HandleFunc("/folder/", v.serveFolder)
	mux.Handle("/", v.sessions)
	v.http.Config.Handler = mux
	return nil
}

// serveFolder serves the datastore's files to whoever is logged in.
func (v *VCenter) serveFolder(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(soap.SessionCookieName)
	if err == nil {
		body, ok := v.model.Map().SessionManager().SessionIsActive(&simulator.Context{Map: v.model.Map()},
			&types.SessionIsActive{SessionID: c.Value, UserName: v.opts.Username}).(*methods.SessionIsActiveBody)
		if ok && body.Res != nil && body.Res.Returnval {
			v.sessions.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "log in first", http.StatusUnauthorized)
}

// Close ends it and removes its files.
func (v *VCenter) Close() error {
	var err error
	if v.http != nil {
		v.http.CloseClientConnections() // an export in the middle is cut
		v.http.Close()
	}
	for _, f := range v.files {
		err = errors.Join(err, f.Close())
	}
	v.model.Remove()
	if v.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(v.dir))
}

// URL of the SDK, without credentials.
func (v *VCenter) URL() string {
	u := *v.http.URL
	u.User = nil
	return u.String()
}

// CAPEM is the certificate to trust.
func (v *VCenter) CAPEM() []byte { return v.ca }

// Thumbprint is the certificate's SHA-256, colon-separated hex.
func (v *VCenter) Thumbprint() string { return v.sha256 }

// ThumbprintSHA1 is the certificate's SHA-1, colon-separated hex.
func (v *VCenter) ThumbprintSHA1() string { return v.sha1 }

// PoweredOn says of every machine whether it runs.
func (v *VCenter) PoweredOn() map[string]bool {
	out := map[string]bool{}
	for ref, name := range v.names {
		out[name] = v.runs(ref)
	}
	return out
}

// runs says whether a machine runs.
func (v *VCenter) runs(ref types.ManagedObjectReference) (on bool) {
	vm, ok := v.model.Map().Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return false
	}
	v.model.Map().WithLock(&simulator.Context{}, vm, func() { on = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn })
	return on
}

// GuestWrite is the running guest writing to its n-th disk.
func (v *VCenter) GuestWrite(name string, n int, off int64, data []byte) error {
	for ref, is := range v.names {
		if is != name {
			continue
		}
		if n < 0 || n >= len(v.disks[ref]) {
			return fmt.Errorf("machine %s has no disk %d", name, n)
		}
		if !v.runs(ref) {
			return fmt.Errorf("machine %s is powered off", name)
		}
		return v.disks[ref][n].write(off, data)
	}
	return fmt.Errorf("there is no machine %s", name)
}

// Exports are the disks that were handed out whole so far.
func (v *VCenter) Exports() []Export {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Export(nil), v.exports...)
}

// ExportDigests are the SHA-256 of the disks that were handed out whole, hex, by "machine/device
// key", oldest first.
func (v *VCenter) ExportDigests() map[string][]string {
	out := map[string][]string{}
	for _, e := range v.Exports() {
		at := fmt.Sprintf("%s/%d", e.VM, e.Disk)
		out[at] = append(out[at], e.SHA256)
	}
	return out
}

// OpenLeases is how many exports are under way.
func (v *VCenter) OpenLeases() int { return v.leases.open() }

// SetPassword changes the user's password. Sessions live on, as they do in vCenter.
func (v *VCenter) SetPassword(password string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.password = password
}

// Refused is how many logins were refused, to the inventory and to the tagging service: vCenter
// locks an account after some of them.
func (v *VCenter) Refused() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.refused
}

func (v *VCenter) admit(l *types.Login) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if l.UserName == v.opts.Username && l.Password == v.password {
		return true
	}
	v.refused++
	return false
}

// DropSessions ends all sessions, as a restart of vCenter does.
func (v *VCenter) DropSessions(ctx context.Context) error {
	c, err := v.client(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	own, err := c.SessionManager.UserSession(ctx)
	if err != nil {
		return err
	}
	var sm mo.SessionManager
	if err := c.RetrieveOne(ctx, *c.ServiceContent.SessionManager, []string{"sessionList"}, &sm); err != nil {
		return err
	}
	var ids []string
	for _, s := range sm.SessionList {
		if s.Key != own.Key {
			ids = append(ids, s.Key)
		}
	}
	return c.SessionManager.TerminateSession(ctx, ids)
}

func (v *VCenter) nameOf(ref types.ManagedObjectReference) string { return v.names[ref] }

func (v *VCenter) disksOf(ref types.ManagedObjectReference) []*disk { return v.disks[ref] }

func (v *VCenter) deaf(ref types.ManagedObjectReference) bool { return v.unheard[ref] }

// noPath is a name that cannot leave the datastore.
func noPath(name string) bool { return name != "" && !strings.ContainsAny(name, "/\\") }

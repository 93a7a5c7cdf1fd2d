package vcenter

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// Export is a disk that was handed out whole.
type Export struct {
	VM     string
	Disk   int32  // device key
	SHA256 string // of all its bytes, hex
	Bytes  int64
}

// lease is an export under way. Its downloads need its ticket and no session, as on an ESXi host.
type lease struct {
	vm      string
	disks   map[string]*frozen // by file name; only their disk and seq are used
	timeout time.Duration

	mu       sync.Mutex
	reported time.Time
	over     bool
}

// alive says whether somebody has reported on the lease lately.
func (l *lease) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over && time.Since(l.reported) < l.timeout
}

// leases are those under way, by ticket and by reference.
type leases struct {
	mu      sync.Mutex
	tickets map[string]*lease
	refs    map[types.ManagedObjectReference]string
}

func (s *leases) add(ref types.ManagedObjectReference, l *lease) (ticket string) {
	ticket = strings.ToLower(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tickets == nil {
		s.tickets, s.refs = map[string]*lease{}, map[types.ManagedObjectReference]string{}
	}
	s.tickets[ticket], s.refs[ref] = l, ticket
	return ticket
}

func (s *leases) get(ticket string) *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tickets[ticket]
}

func (s *leases) report(ref types.ManagedObjectReference) {
	if l := s.get(s.ticket(ref)); l != nil {
		l.mu.Lock()
		l.reported = time.Now()
		l.mu.Unlock()
	}
}

func (s *leases) ticket(ref types.ManagedObjectReference) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refs[ref]
}

func (s *leases) end(ref types.ManagedObjectReference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.tickets[s.refs[ref]]; l != nil {
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
	}
	delete(s.tickets, s.refs[ref])
	delete(s.refs, ref)
}

// open is how many leases are under way.
func (s *leases) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tickets)
}

// export makes a lease whose downloads are produced as they are read. The simulator makes the
// lease, of a throw-away snapshot, and its downloads are replaced by ours.
func (v *VCenter) export(ctx *simulator.Context, ref types.ManagedObjectReference, cfg types.VirtualMachineConfigInfo,
	seq int64) (types.ManagedObjectReference, error) {
	throwAway := &simulator.VirtualMachineSnapshot{}
	throwAway.Vm, throwAway.Config = ref, cfg
	throwAway.Config.Hardware.Device = nil
	made := throwAway.ExportSnapshot(ctx, &types.ExportSnapshot{}).(*methods.ExportSnapshotBody)
	at := made.Res.Returnval
	nfc, ok := ctx.Session.Get(at).(*simulator.HttpNfcLease)
	if !ok {
		return at, fmt.Errorf("the simulator has no lease %s", at.Value)
	}
	l := &lease{vm: v.nameOf(ref), disks: map[string]*frozen{}, timeout: v.opts.LeaseTimeout, reported: time.Now()}
	ticket := v.leases.add(at, l)
	var urls []types.HttpNfcLeaseDeviceUrl
	for i, d := range v.disksOf(ref) {
		file := fmt.Sprintf("disk-%d.vmdk", i)
		l.disks[file] = &frozen{d: d, seq: seq}
		place := place(cfg, d.key)
		urls = append(urls, types.HttpNfcLeaseDeviceUrl{
			Key: fmt.Sprintf("/%s/%s", ref.Value, place), ImportKey: fmt.Sprintf("/%s/%s", l.vm, place),
			Url:           fmt.Sprintf("%s://%s/nfc/%s/%s", v.http.URL.Scheme, v.http.URL.Host, ticket, file),
			SslThumbprint: v.sha1, Disk: types.NewBool(true), TargetId: file, FileSize: d.size,
		})
	}
	slices.Reverse(urls) // vCenter promises no order
	ctx.WithLock(nfc, func() { nfc.Info.DeviceUrl, nfc.Info.LeaseTimeout = urls, int32(v.opts.LeaseTimeout.Seconds()) })
	return at, nil
}

// place is where a disk hangs, as vCenter writes it: "ParaVirtualSCSIController0:1".
func place(cfg types.VirtualMachineConfigInfo, key int32) string {
	var at *types.VirtualDisk
	for _, d := range cfg.Hardware.Device {
		if vd, ok := d.(*types.VirtualDisk); ok && vd.Key == key {
			at = vd
		}
	}
	for _, d := range cfg.Hardware.Device {
		if c, ok := d.(types.BaseVirtualController); ok && at != nil && d.GetVirtualDevice().Key == at.ControllerKey &&
			at.UnitNumber != nil {
			return fmt.Sprintf("%s%d:%d", reflect.TypeOf(c).Elem().Name(), c.GetVirtualController().BusNumber, *at.UnitNumber)
		}
	}
	return fmt.Sprintf("disk:%d", key)
}

// serveExport streams a disk of a lease. A stream that cannot go on is cut, as a host does it.
func (v *VCenter) serveExport(w http.ResponseWriter, r *http.Request) {
	l := v.leases.get(r.PathValue("ticket"))
	if l == nil || !l.alive() {
		http.Error(w, "there is no such lease", http.StatusNotFound)
		return
	}
	of := l.disks[r.PathValue("file")]
	if of == nil || r.Method != http.MethodGet {
		http.Error(w, "there is no such file in the lease", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	sum := sha256.New()
	src := &watched{r: io.TeeReader(&frozen{d: of.d, seq: of.seq}, sum), l: l}
	err := writeStream(w, src, of.d.size, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.exports = append(v.exports, Export{VM: l.vm, Disk: of.d.key, SHA256: hex.EncodeToString(sum.Sum(nil)), Bytes: of.d.size})
	})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// watched stops when the lease has ended.
type watched struct {
	r io.Reader
	l *lease
}

func (w *watched) Read(p []byte) (int, error) {
	if !w.l.alive() {
		return 0, fmt.Errorf("the lease of %s is over", w.l.vm)
	}
	return w.r.Read(p)
}

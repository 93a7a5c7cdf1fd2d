package vcenter

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags
	"github.com/vmware/govmomi/vim25/types"
)

// Options of a vCenter.
type Options struct {
	Listen             string // host:port
	Dir                string // of the datastore's files
	VMs                []VM
	Username, Password string
}

// VM to be there, powered on.
type VM struct {
	Name      string
	Address   string // as the guest tools say
	CPUs      int
	MemoryMB  int
	DiskBytes []int64
	Folder    string   // below the datacenter's vm folder; empty: none
	Tags      []string // "category:tag"
	Firmware  string   // bios | efi; empty: bios
	Guest     string   // guest id; empty: ubuntu64Guest
	// Awkward changes the VM's configuration after it was made: raw device mappings, encryption, and what else stands in the way.
	Awkward func(*types.VirtualMachineConfigInfo)
}

// Export is a disk that was handed out.
type Export struct {
	VM     string
	Disk   int32  // device key
	SHA256 string // of all its bytes, hex
	Bytes  int64
}

// VCenter is a running simulator.
type VCenter struct {
	opts  Options
	model *simulator.Model
	http  *simulator.Server
	ca    []byte

	mu      sync.Mutex
	disks   map[types.ManagedObjectReference][]*disk
	open    map[types.ManagedObjectReference]int // snapshots of a VM
	exports []Export
}

// Start makes the machines and serves until Close. Datacenter DC0 has one cluster and exactly the machines asked for.
func Start(ctx context.Context, o Options) (*VCenter, error) {
	log.SetOutput(io.Discard) // the simulator talks through the standard logger
	m := simulator.VPX()
	m.Datacenter, m.Cluster, m.ClusterHost, m.Host, m.Machine, m.Datastore = 1, 1, 1, 0, len(o.VMs), 1
	if err := m.Create(); err != nil {
		return nil, fmt.Errorf("vCenter: %w", err)
	}
	v := &VCenter{opts: o, model: m, disks: map[types.ManagedObjectReference][]*disk{}, open: map[types.ManagedObjectReference]int{}}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("vCenter: %w", err)
	}
	cert, ca, err := certificate(host)
	if err != nil {
		return nil, fmt.Errorf("vCenter: %w", err)
	}
	v.ca = ca
	m.Service.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	m.Service.RegisterEndpoints = true
	m.Service.Listen = &url.URL{Host: o.Listen, User: url.UserPassword(o.Username, o.Password)}
	m.Map().Handler = v.dispatch
	v.http = m.Service.NewServer()
	if err := v.build(ctx); err != nil {
		_ = v.Close()
		return nil, fmt.Errorf("vCenter: %w", err)
	}
	return v, nil
}

// Close ends it and removes its files.
func (v *VCenter) Close() error {
	v.http.Close()
	v.model.Remove()
	return nil
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
func (v *VCenter) Thumbprint() string {
	block, _ := pem.Decode(v.ca)
	sum := sha256.Sum256(block.Bytes)
	var parts []string
	for _, b := range sum {
		parts = append(parts, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	return strings.Join(parts, ":")
}

// PoweredOn says which machines run.
func (v *VCenter) PoweredOn() map[string]bool {
	out := map[string]bool{}
	for _, e := range v.model.Map().All("VirtualMachine") {
		vm := e.(*simulator.VirtualMachine)
		v.model.Map().WithLock(v.model.Service.Context, vm, func() {
			out[vm.Name] = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		})
	}
	return out
}

// Exports are the disks that were handed out so far.
func (v *VCenter) Exports() []Export {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Export(nil), v.exports...)
}

// certificate makes a self-signed one for an address.
func certificate(host string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "vcenter.lab"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

package lab

import (
	"fmt"
	"net"
)

// network is the 127.N.0.0/16 of one lab: two labs never share an address, so every port can be a
// fixed one.
type network struct {
	n    int
	lock net.Listener
}

// Numbers of labs. The lowest are left to whatever else runs on a developer's loopback.
const (
	firstNumber = 10
	lastNumber  = 250
)

// findNetwork takes the first number nobody has. The lock is an abstract socket: it goes when the
// process goes, whatever ended it, and no port that somebody has for all addresses is in its way.
func findNetwork() (*network, error) {
	for n := firstNumber; n <= lastNumber; n++ {
		l, err := net.Listen("unix", fmt.Sprintf("@drover-lab-%d", n))
		if err == nil {
			return &network{n: n, lock: l}, nil
		}
	}
	return nil, fmt.Errorf("no free network: a lab has each of 127.N.0.0/16 from N=%d to %d", firstNumber, lastNumber)
}

func (w *network) close() { _ = w.lock.Close() }

func (w *network) ip(third, fourth int) string {
	return fmt.Sprintf("127.%d.%d.%d", w.n, third, fourth)
}

// The plan of the network.
func (w *network) control() string     { return w.ip(0, 1) }
func (w *network) moto() string        { return w.ip(0, 2) }
func (w *network) s3() string          { return w.ip(0, 3) }
func (w *network) ebs() string         { return w.ip(0, 4) }
func (w *network) rds() string         { return w.ip(0, 5) }
func (w *network) vpc() string         { return w.ip(16, 0) + "/20" }
func (w *network) subnet(i int) string { return w.ip(16+i, 0) + "/24" }
func (w *network) vcenter() string     { return w.ip(128, 1) }
func (w *network) database() string    { return w.ip(128, 2) }
func (w *network) vm(i int) string     { return w.ip(129, 10+i) }
func (w *network) front() string       { return w.ip(129, 1) }
func (w *network) balancer() string    { return w.ip(255, 1) }
func (w *network) names() string       { return w.ip(255, 2) }

package vsphere

import "time"

// PageBy makes the inventory's pages small.
func (s *Session) PageBy(n int32) { s.page = n }

// At sets the pool's clock.
func (p *Pool) At(now func() time.Time) { p.now = now }

// ConnectKeeping is Connect with another time between two calls that keep the session alive, which
// KeepAlive is otherwise.
var ConnectKeeping = connect

const KeepAlive = keepAlive

// LimitSnapshots gives snapshots another limit of age and looks at it more often, until it is
// called back.
func LimitSnapshots(age, every time.Duration) (back func()) {
	wasAge, wasEvery := snapshotAge, limitEvery
	snapshotAge, limitEvery = age, every
	return func() { snapshotAge, limitEvery = wasAge, wasEvery }
}

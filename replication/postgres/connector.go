package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// Secrets resolves references to secrets: those that AWS keeps in the account and region of a
// target, or in the worker's own for the zero Target.
type Secrets interface {
	Resolve(ctx context.Context, in migration.Target, ref migration.SecretRef) (string, error)
}

// Instances says where a database instance answers. dbname is empty where the instance was made
// without one.
type Instances interface {
	Endpoint(ctx context.Context, target migration.Target, id string) (host string, port int, dbname string, err error)
}

// Connector opens pairs and keeps them: a freeze has no time to connect. What is kept is the place;
// name and password are resolved for each new connection, since a rotation ends them. It is safe
// for concurrent use.
type Connector struct {
	Secrets   Secrets
	Instances Instances
	PgDump    string          // path of pg_dump; empty: found, see FindPgDump
	Tracer    pgx.QueryTracer // is told of each statement; nil: nobody
	Former    time.Duration   // how long the pair of a former revision of a plan is kept unused; 0: see formerKept

	mu     sync.Mutex
	kept   map[string]*opening
	halves map[string]*opening // pairs of which one side does not answer
	failed map[string]failure  // of the last attempt, where it failed
	turn   *Turn
	closed bool
}

// failure is an attempt to connect a pair that failed.
type failure struct {
	err error
	at  time.Time
}

// opening is a pair, or the attempt to connect it that is under way.
type opening struct {
	done chan struct{} // closed when the attempt has ended
	pair *Pair
	err  error

	of   string    // the plan and the dataset, of whatever revision
	used time.Time // when it was last asked for; under the connector's lock
}

// connectLimit is how long an attempt to connect a pair may take: two secrets, the instance's
// address, four connections.
const connectLimit = time.Minute

// formerKept is how long the pair of a former revision stays: a Move that began under it asks for
// it at each of its steps.
const formerKept = 10 * time.Minute

// Open returns the pair of a dataset, connecting its pools the first time. An attempt goes on when
// ctx ends, so that a caller with little time finds at its next call what it began; a failed one is
// not kept.
func (c *Connector) Open(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*Pair, error) {
	if d.Postgres == nil {
		return nil, fmt.Errorf("dataset %q is not a PostgreSQL database", d.Name)
	}
	// The whole dataset is the key: a revised plan may classify tables otherwise.
	b, err := json.Marshal([]any{plan, d, target.Account, target.Region, target.Role})
	if err != nil {
		return nil, err
	}
	o := c.opening(context.WithoutCancel(ctx), string(b), plan, d, target)
	c.closeFormer(o)
	enough, last := c.lately(string(b))
	select {
	case <-o.done:
	case <-enough:
		return nil, fmt.Errorf("dataset %s: %w", d.Name, last)
	case <-ctx.Done():
		return nil, fmt.Errorf("dataset %s: its databases are not connected yet: %w", d.Name, ctx.Err())
	}
	if o.err != nil {
		return nil, fmt.Errorf("dataset %s: %w", d.Name, o.err)
	}
	return o.pair, nil
}

// A side that has just not answered, and does not answer soon now, is not waited for: its host may
// be gone, and each attempt lasts as long as the network lets it.
const (
	failedLately = 30 * time.Second
	answersSoon  = time.Second
)

// lately is the failure of the last attempt, where it is not long ago, and when the present one has
// had its time. The channel is nil otherwise.
func (c *Connector) lately(key string) (enough <-chan time.Time, last error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.failed[key]; ok && time.Since(f.at) < failedLately {
		return time.After(answersSoon), f.err
	}
	return nil, nil
}

// opening is the one of a key: kept, under way, or begun now.
func (c *Connector) opening(ctx context.Context, key, plan string, d migration.Dataset, target migration.Target) *opening {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.kept[key]; o != nil {
		o.used = time.Now()
		return o
	}
	o := &opening{done: make(chan struct{}), of: plan + "/" + d.Name, used: time.Now()}
	if c.closed {
		o.err = errors.New("this worker is stopping")
		close(o.done)
		return o
	}
	if c.kept == nil {
		c.kept, c.failed, c.turn = map[string]*opening{}, map[string]failure{}, newTurn()
	}
	c.kept[key] = o
	turn := c.turn
	go func() {
		defer close(o.done)
		ctx, cancel := context.WithTimeout(ctx, connectLimit)
		defer cancel()
		o.pair, o.err = c.connect(ctx, plan, d, target)
		c.mu.Lock()
		defer c.mu.Unlock()
		if o.err != nil {
			delete(c.kept, key)
			c.failed[key] = failure{o.err, time.Now()}
			return
		}
		delete(c.failed, key)
		o.pair.turn = turn
		c.dropHalf(key)
	}()
	return o
}

// closeFormer closes the pairs of other revisions of a plan's dataset that nobody has asked for in
// a while. Whoever uses one nevertheless finds it closed, and connects anew at its next attempt.
func (c *Connector) closeFormer(now *opening) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, o := range c.kept {
		if o == now || o.of != now.of || time.Since(o.used) < cmp.Or(c.Former, formerKept) {
			continue
		}
		delete(c.kept, key)
		go func() {
			<-o.done
			if o.pair != nil {
				o.pair.Close()
			}
		}()
	}
}

// Close closes every pair, those whose attempt is under way when it ends. Nothing opens after it.
func (c *Connector) Close() {
	c.mu.Lock()
	var all []*opening
	for _, kept := range []map[string]*opening{c.kept, c.halves} {
		for _, o := range kept {
			all = append(all, o)
		}
	}
	c.kept, c.halves, c.closed = nil, nil, true
	c.mu.Unlock()
	for _, o := range all {
		<-o.done
		if o.pair != nil {
			o.pair.Close()
		}
	}
}

func (c *Connector) connect(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*Pair, error) {
	s, err := c.reachOnPremises(ctx, *d.Postgres)
	if err != nil {
		return nil, err
	}
	t, err := c.reachAWS(ctx, *d.Postgres, target)
	if err != nil {
		s.Close()
		return nil, err
	}
	p := NewPair(plan, d, s, t)
	p.PgDump = c.PgDump
	return p, nil
}

func (c *Connector) reachOnPremises(ctx context.Context, d migration.Postgres) (*Server, error) {
	onprem, err := c.onPremises(ctx, d)
	if err != nil {
		return nil, err
	}
	// RDS reaches the database on premises by an address of its own.
	seen := onprem
	if seen.Host, seen.Port, err = splitHostPort(d.AddressFromTarget); err != nil {
		return nil, err
	}
	return Connect(ctx, migration.OnPrem, onprem, seen,
		func(ctx context.Context) (Address, error) { return c.onPremises(ctx, d) }, c.traced)
}

func (c *Connector) reachAWS(ctx context.Context, d migration.Postgres, target migration.Target) (*Server, error) {
	onprem, err := c.onPremises(ctx, d)
	if err != nil {
		return nil, err
	}
	aws, err := c.onAWS(ctx, d, target, onprem.Database)
	if err != nil {
		return nil, err
	}
	return Connect(ctx, migration.AWS, aws, aws,
		func(ctx context.Context) (Address, error) { return c.credentials(ctx, d, target) }, c.traced)
}

func (c *Connector) traced(conf *pgx.ConnConfig) { conf.Tracer = c.Tracer }

func (c *Connector) onPremises(ctx context.Context, d migration.Postgres) (Address, error) {
	dsn, err := c.Secrets.Resolve(ctx, migration.Target{}, d.DSN)
	if err != nil {
		return Address{}, fmt.Errorf("resolve the address of the database on premises: %w", err)
	}
	a, err := ParseDSN(dsn)
	if err != nil {
		return Address{}, fmt.Errorf("the secret %s is no PostgreSQL connection string: want postgres://user:password@host:port/database",
			d.DSN)
	}
	return a, nil
}

// ParseDSN reads a connection string, as URL or as key=value. Its errors may quote it: do not print
// them.
func ParseDSN(dsn string) (Address, error) {
	conf, err := pgx.ParseConfig(dsn)
	if err != nil {
		return Address{}, err
	}
	mode := "disable"
	switch tls := conf.TLSConfig; {
	case tls != nil && tls.InsecureSkipVerify && tls.VerifyPeerCertificate == nil && len(conf.Fallbacks) > 0:
		mode = "prefer"
	case tls != nil && tls.InsecureSkipVerify && tls.VerifyPeerCertificate == nil:
		mode = "require"
	case tls != nil && tls.InsecureSkipVerify:
		mode = "verify-ca"
	case tls != nil:
		mode = "verify-full"
	}
	return Address{Host: conf.Host, Port: int(conf.Port), Database: conf.Database, User: conf.User, Password: conf.Password, SSLMode: mode,
		RootCert: rootCert(dsn)}, nil
}

var rootCertForm = regexp.MustCompile(`(?:^|[?&\s])sslrootcert=([^&\s]+)`)

// rootCert is the one setting that pgx reads and does not keep.
func rootCert(dsn string) string {
	m := rootCertForm.FindStringSubmatch(dsn)
	if m == nil {
		return ""
	}
	if path, err := url.QueryUnescape(m[1]); err == nil {
		return path
	}
	return m[1]
}

// onAWS joins what RDS says of the instance with the credentials, which may bring their own
// sslmode, sslrootcert and dbname.
func (c *Connector) onAWS(ctx context.Context, d migration.Postgres, target migration.Target, database string) (Address, error) {
	host, port, dbname, err := c.Instances.Endpoint(ctx, target, d.RDS)
	if err != nil {
		return Address{}, fmt.Errorf("find database instance %q in target %q: %w", d.RDS, target.Name, err)
	}
	a, err := c.credentials(ctx, d, target)
	if err != nil {
		return Address{}, err
	}
	a.Host, a.Port, a.Database = host, port, cmp.Or(a.Database, dbname, database)
	return a, nil
}

// credentials are what the secret says: all of an address but where it is.
func (c *Connector) credentials(ctx context.Context, d migration.Postgres, target migration.Target) (Address, error) {
	text, err := c.Secrets.Resolve(ctx, target, d.Credentials)
	if err != nil {
		return Address{}, fmt.Errorf("resolve the credentials of database instance %q: %w", d.RDS, err)
	}
	var secret struct {
		Username, Password, DBName, SSLMode, SSLRootCert string
	}
	if json.Unmarshal([]byte(text), &secret) != nil || secret.Username == "" {
		return Address{}, fmt.Errorf(`the secret %s is not JSON {"username": .., "password": ..}`, d.Credentials)
	}
	return Address{Database: secret.DBName, User: secret.Username, Password: secret.Password, SSLMode: secret.SSLMode,
		RootCert: secret.SSLRootCert}, nil
}

func splitHostPort(address string) (string, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("addressFromTarget %q is not host:port", address)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", 0, fmt.Errorf("addressFromTarget %q: the port is not a number", address)
	}
	return host, n, nil
}

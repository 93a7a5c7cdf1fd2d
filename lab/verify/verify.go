package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab/load"
)

// Options of a verification. Traffic has stopped when it runs.
type Options struct {
	Ledger    string // path
	Customers []load.Customer
	OnPrem    string        // DSN of a role that reads everything
	AWS       string        // the same; empty: there is no such side yet
	Before    *Before       // what Look found before the load began
	Only      bool          // Customers are not all: the rows of others are not read
	Drain     time.Duration // how long replication and routes may take to catch up; 0: 20 s
	Files     *Files        // nil: not verified
	Disks     *Disks        // nil: not verified
	Edge      *Edge         // nil: not verified
}

// Files says where customers' files are.
type Files struct {
	Folder string // with {customer}
	Client *s3.Client
	Bucket string
	Prefix string // with {customer}
}

// Disks are the block store and what was exported.
type Disks struct {
	Snapshots []Snapshot // completed ones
	// SHA-256 of a whole disk as it was exported, hex -> which
	Exported map[string]string
	Digest   func(snapshot string, bytes int64) (sha string, blocks int64, err error) // of what the store holds, read back block by block
}

// Snapshot in the block store.
type Snapshot struct {
	ID    string
	Bytes int64 // of the disk
}

// Result of a verification.
type Result struct {
	AckedWrites        int               `json:"acked_writes"`
	LostWrites         int               `json:"lost_writes"`      // acknowledged, and not (or not whole) where they belong
	DuplicateWrites    int               `json:"duplicate_writes"` // there more than once
	MisplacedRows      int               `json:"misplaced_rows"`   // only on the side that is not home
	UncarriedRows      int               `json:"uncarried_rows"`   // at home, and not on the other side although it is drained
	UnknownRows        int               `json:"unknown_rows"`     // at home, neither from before the load nor in the ledger
	RowsVerified       int64             `json:"rows_verified"`
	ObjectsVerified    int64             `json:"objects_verified"`
	DiskBlocksVerified int64             `json:"disk_blocks_verified"`
	Homes              map[string]string `json:"homes"` // customer -> onprem | aws
	Violations         []string          `json:"violations,omitempty"`
}

func (r *Result) violation(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

const (
	onprem = "onprem"
	onAWS  = "aws"
	// defaultDrain is many times what replication takes; a side that is not equal then will not be.
	defaultDrain = 20 * time.Second
	// drainPoll is how often the sides are compared until they are equal: a comparison reads them
	// whole.
	drainPoll = 500 * time.Millisecond
)

// Run verifies. An error says that it could not; what it found wrong is in the Result.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Before == nil {
		return nil, errors.New("verify: nobody has looked before the load began")
	}
	entries, err := load.ReadLedger(o.Ledger)
	if err != nil {
		return nil, err
	}
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	res, err := drained(ctx, o, entries)
	if err != nil {
		return nil, err
	}
	if o.Files != nil {
		if err := o.Files.verify(ctx, o, entries, res); err != nil {
			return nil, fmt.Errorf("verify files: %w", err)
		}
	}
	if o.Disks != nil {
		o.Disks.verify(res)
	}
	return res, nil
}

// drained compares the databases, their fences and the routes until nothing is wrong, or the time
// for draining is over.
func drained(ctx context.Context, o Options, entries []load.Entry) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	db := map[string]*pgx.Conn{}
	for side, dsn := range map[string]string{onprem: o.OnPrem, onAWS: o.AWS} {
		if dsn == "" {
			continue
		}
		c, err := connect(ctx, dsn)
		if err != nil {
			return nil, fmt.Errorf("verify rows: connect to the database on %s: %w", side, err)
		}
		defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
		db[side] = c
	}
	deadline := time.Now().Add(o.Drain)
	for {
		res := &Result{Homes: map[string]string{}}
		if err := verifyRows(ctx, db, o, entries, res); err != nil {
			return nil, fmt.Errorf("verify rows: %w", err)
		}
		if err := fences(ctx, db, o, res); err != nil {
			return nil, err
		}
		if o.Edge != nil {
			if err := o.Edge.verify(ctx, o, res); err != nil {
				return nil, err
			}
		}
		if len(res.Violations) == 0 || time.Now().After(deadline) {
			return res, nil
		}
		select {
		case <-time.After(drainPoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// connect pins what changes the text of a row.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	_, err = c.Exec(ctx, "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; "+
		"SET extra_float_digits = 1")
	return c, err
}

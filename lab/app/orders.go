package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A write carries a token that its client made up, and keeps it in all its tries: the database
// takes it once.

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Order is POST /orders.
type Order struct {
	Token  string  `json:"token"` // UUID
	Amount float64 `json:"amount"`
	SKU    string  `json:"sku"`
	Note   string  `json:"note,omitempty"`
}

// Event is POST /api/events.
type Event struct {
	Token string    `json:"token"` // UUID
	At    time.Time `json:"at"`    // the client's, the same in every try: part of the key
	Kind  string    `json:"kind"`
}

// Add is PATCH /acct.
type Add struct {
	Token string `json:"token"` // UUID
	Add   int64  `json:"add"`
}

func read(r *http.Request, into any, token *string) error {
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(into); err != nil {
		return badRequest("the body is not the JSON wanted: " + err.Error())
	}
	if !uuidForm.MatchString(*token) {
		return badRequest("the token is not a UUID")
	}
	return nil
}

func (s *server) postOrder(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	var o Order
	if err := read(r, &o, &o.Token); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"sku": o.SKU, "note": o.Note})
	if err != nil {
		return err
	}
	// One round trip: the item exists exactly if the order was new.
	const insert = `WITH o AS (INSERT INTO orders (tenant_id, token, amount, body) VALUES ($1, $2, $3, $4)
	    ON CONFLICT (tenant_id, token) DO NOTHING RETURNING id)
	  INSERT INTO order_items (tenant_id, order_id, sku, qty, token) SELECT $1, id, $5, 1, $2 FROM o`
	tag, err := s.db.Exec(ctx, insert, t.Tenant, o.Token, o.Amount, body, o.SKU)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]any{"token": o.Token, "new": tag.RowsAffected() == 1})
}

func (s *server) getOrder(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	if !uuidForm.MatchString(token) {
		return badRequest("the token is not a UUID")
	}
	var amount string
	err := s.db.QueryRow(ctx, `SELECT amount::text FROM orders WHERE tenant_id = $1 AND token = $2`, t.Tenant, token).Scan(&amount)
	if errors.Is(err, pgx.ErrNoRows) {
		// Reads are not fenced: before it says that there is no such order, it asks whether this is
		// the place to look.
		if herr := s.home(ctx, t); herr != nil {
			return herr
		}
	}
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, map[string]any{"token": token, "amount": amount})
}

func (s *server) postEvent(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	var e Event
	if err := read(r, &e, &e.Token); err != nil {
		return err
	}
	if e.At.IsZero() {
		return badRequest("at is missing")
	}
	doc, err := json.Marshal(map[string]any{"kind": e.Kind})
	if err != nil {
		return err
	}
	const insert = `WITH e AS (INSERT INTO events (id, ts, tenant_id, token, doc, raw) VALUES ($2, $3, $1, $2, $4, decode(md5($5), 'hex'))
	    ON CONFLICT (id, ts) DO NOTHING RETURNING ts)
	  INSERT INTO audit (tenant_id, ts, token, msg) SELECT $1, ts, $2, 'event ' || $5 FROM e`
	tag, err := s.db.Exec(ctx, insert, t.Tenant, e.Token, e.At, doc, e.Kind)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]any{"token": e.Token, "new": tag.RowsAffected() == 1})
}

// patchAcct adds to the tenant's counter once a token: the blob is the receipt.
func (s *server) patchAcct(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	var a Add
	if err := read(r, &a, &a.Token); err != nil {
		return err
	}
	const add = `WITH b AS (INSERT INTO blobs (tenant_id, id, token, data) VALUES ($1, $2, $2, convert_to('add ' || $3::bigint::text,
		'UTF8'))
	    ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id)
	  INSERT INTO acct (tenant_id, n) SELECT $1, $3::bigint FROM b ON CONFLICT (tenant_id) DO UPDATE SET n = acct.n + excluded.n`
	tag, err := s.db.Exec(ctx, add, t.Tenant, a.Token, a.Add)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, map[string]any{"token": a.Token, "new": tag.RowsAffected() == 1})
}

// home asks the database whether this side is the tenant's. Before Drover came there is nobody to
// ask, and it is.
func (s *server) home(ctx context.Context, t Tenant) error {
	var is bool
	err := s.db.QueryRow(ctx, `SELECT drover.is_home($1)`, t.Tenant).Scan(&is)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42883"): // no such schema, no such function
		return nil
	case err != nil:
		return err
	case !is:
		return fmt.Errorf("tenant %d: %w", t.Tenant, errElsewhere)
	}
	return nil
}

// putFile asks for the fence before it reads the body for good, and writes the file inside the
// transaction that leaves a receipt: the guard lets the receipt in only at home, and a fence waits
// for the transaction. So no file appears after a fence.
func (s *server) putFile(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	name, token := r.PathValue("name"), r.Header.Get("X-Token")
	if s.files == nil || !fileName.MatchString(name) || !uuidForm.MatchString(token) {
		return badRequest("want PUT /files/NAME with X-Token: UUID, on a machine that has files")
	}
	if err := s.home(ctx, t); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFile))
	if err != nil {
		return badRequest("the file was cut short or is too long")
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx,
			`INSERT INTO blobs (tenant_id, id, token, data) VALUES ($1, $2, $2, convert_to($3, 'UTF8')) ON CONFLICT (tenant_id, id) DO
				NOTHING`,
			t.Tenant, token, "file "+digest+" "+name); err != nil {
			return err
		}
		return s.files.put(ctx, t.Customer, name, body)
	})
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]any{"token": token, "sha256": digest})
}

func (s *server) getFile(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if s.files == nil || !fileName.MatchString(name) {
		return badRequest("want GET /files/NAME, on a machine that has files")
	}
	// A file changes under its name: one read elsewhere may be old.
	if err := s.home(ctx, t); err != nil {
		return err
	}
	body, err := s.files.get(ctx, t.Customer, name)
	if errors.Is(err, fs.ErrNotExist) {
		return pgx.ErrNoRows
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body)
	return nil
}

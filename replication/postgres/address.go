package postgres

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Address is how a server is reached. It holds a password: it is never printed.
type Address struct {
	Host     string
	Port     int
	Database string
	User     string
	Password string
	SSLMode  string // "": prefer
	RootCert string // file on the connecting machine; empty: none

	major int // of its server's version; 0: not known
}

// String leaves the password out.
func (a Address) String() string {
	return fmt.Sprintf("%s@%s/%s", a.User, net.JoinHostPort(a.Host, strconv.Itoa(a.Port)), a.Database)
}

// GoString keeps %#v from printing the password.
func (a Address) GoString() string { return a.String() }

func (a Address) sslMode() string {
	if a.SSLMode == "" {
		return "prefer"
	}
	return a.SSLMode
}

// dsn is a connection string for pgx. It holds the password.
func (a Address) dsn() string {
	q := url.Values{"sslmode": {a.sslMode()}}
	if a.RootCert != "" {
		q.Set("sslrootcert", a.RootCert)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(a.User, a.Password), Host: net.JoinHostPort(a.Host, strconv.Itoa(a.Port)),
		Path: "/" + a.Database, RawQuery: q.Encode()}
	return u.String()
}

// noLimits takes away what a database or a role sets for its sessions and what would cut a first
// copy off for ever.
const noLimits = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0"

// transactionLimit came with version 17: an older server refuses a connection that names it.
const (
	transactionLimit      = "transaction_timeout"
	transactionLimitSince = 17
)

func (a Address) limits() string {
	if a.major < transactionLimitSince {
		return noLimits
	}
	return noLimits + " -c " + transactionLimit + "=0"
}

// Conninfo is a connection string for the other server's subscription. It holds the password. The
// certificate file is left out: it is on the worker, not on the server.
func (a Address) Conninfo(name string) string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	mode := a.sslMode()
	if strings.HasPrefix(mode, "verify-") && a.RootCert != "" {
		mode = "require"
	}
	return fmt.Sprintf("host=%s port=%d dbname=%s user=%s password=%s sslmode=%s application_name=%s connect_timeout=10 options=%s",
		quote(a.Host), a.Port, quote(a.Database), quote(a.User), quote(a.Password), quote(mode), quote(name), quote(a.limits()))
}

// Env has PostgreSQL's own programs connect there. It holds the password: a command line could be
// read by everybody.
func (a Address) Env() []string {
	return []string{"PGHOST=" + a.Host, "PGPORT=" + strconv.Itoa(a.Port), "PGDATABASE=" + a.Database, "PGUSER=" + a.User,
		"PGPASSWORD=" + a.Password, "PGSSLMODE=" + a.sslMode(), "PGSSLROOTCERT=" + a.RootCert, "PGAPPNAME=drover",
		"PGOPTIONS=" + a.limits()}
}

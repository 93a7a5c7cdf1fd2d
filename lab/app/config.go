package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Config is what one process is told. Every field can come from the environment variable named with
// it.
type Config struct {
	Name     string // NAME: of the machine, for X-Served-By
	Side     string // SIDE: onprem or aws, for X-Served-By
	Listen   string // LISTEN: host:port
	Admin    string // ADMIN: host:port of the fault endpoint; empty: none
	DSN      string // DB_DSN: of the database, where the machine knows it
	DBSecret string // DB_SECRET: Secrets Manager id of the database, where it does not
	DBHost   string // DB_HOST: host[:port], instead of the one in the secret
	DBName   string // DB_NAME: instead of the one in the secret
	Files    string // FILES: folder or s3://bucket/prefix, with {customer} in it; empty: no files
	Tenants  string // TENANTS: file or URL of {"host name": {"customer": "acme", "tenant": 17}}
}

// FromEnv reads a Config from a lookup such as os.Getenv.
func FromEnv(get func(string) string) Config {
	return Config{
		Name: get("NAME"), Side: get("SIDE"), Listen: get("LISTEN"), Admin: get("ADMIN"), DSN: get("DB_DSN"), DBSecret: get("DB_SECRET"),
		DBHost: get("DB_HOST"), DBName: get("DB_NAME"), Files: get("FILES"), Tenants: get("TENANTS"),
	}
}

// Main runs the application with the flags given and the environment until ctx ends.
func Main(ctx context.Context, args []string) error {
	c := FromEnv(os.Getenv)
	f := flag.NewFlagSet("app", flag.ContinueOnError)
	f.StringVar(&c.Name, "name", c.Name, "name of the machine")
	f.StringVar(&c.Side, "side", c.Side, "onprem or aws")
	f.StringVar(&c.Listen, "listen", c.Listen, "host:port")
	f.StringVar(&c.Admin, "admin", c.Admin, "host:port of the fault endpoint")
	f.StringVar(&c.Files, "files", c.Files, "folder or s3://bucket/prefix, with {customer}")
	f.StringVar(&c.Tenants, "tenants", c.Tenants, "file or URL of the table of tenants")
	if err := f.Parse(args); err != nil {
		return err
	}
	return Run(ctx, c)
}

func (c Config) validate() error {
	var errs []error
	if c.Listen == "" {
		errs = append(errs, errors.New("LISTEN is not set"))
	}
	if c.DSN == "" && c.DBSecret == "" {
		errs = append(errs, errors.New("neither DB_DSN nor DB_SECRET is set: the application does not know its database"))
	}
	if c.Tenants == "" {
		errs = append(errs, errors.New("TENANTS is not set"))
	}
	if c.Files != "" && !strings.Contains(c.Files, "{customer}") {
		errs = append(errs, fmt.Errorf("FILES=%s has no {customer}", c.Files))
	}
	return errors.Join(errs...)
}

// database is the DSN: as given, or from the secret as RDS writes it.
func (c Config) database(ctx context.Context) (string, error) {
	if c.DSN != "" {
		return c.DSN, nil
	}
	conf, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", fmt.Errorf("AWS configuration: %w", err)
	}
	out, err := secretsmanager.NewFromConfig(conf).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.DBSecret})
	if err != nil {
		return "", fmt.Errorf("read secret %s of the database: %w", c.DBSecret, err)
	}
	return c.dsnFrom(aws.ToString(out.SecretString))
}

// dsnFrom reads a secret: JSON with host, port, dbname, username, password; or JSON with dsn; or a
// DSN itself.
func (c Config) dsnFrom(secret string) (string, error) {
	if strings.HasPrefix(secret, "postgres") {
		return secret, nil
	}
	var s struct {
		DSN      string      `json:"dsn"`
		Host     string      `json:"host"`
		Port     json.Number `json:"port"`
		DBName   string      `json:"dbname"`
		Username string      `json:"username"`
		Password string      `json:"password"`
	}
	if err := json.Unmarshal([]byte(secret), &s); err != nil {
		return "", fmt.Errorf("secret %s of the database is neither a DSN nor the JSON of one", c.DBSecret) // the error would quote it
	}
	if s.DSN != "" {
		return s.DSN, nil
	}
	host, port := s.Host, s.Port.String()
	if c.DBHost != "" {
		host = c.DBHost
		if h, p, err := net.SplitHostPort(host); err == nil {
			host, port = h, p
		}
	}
	if port == "" {
		port = "5432"
	}
	name := s.DBName
	if c.DBName != "" {
		name = c.DBName
	}
	if host == "" || name == "" || s.Username == "" {
		return "", fmt.Errorf("secret %s of the database lacks host, dbname or username", c.DBSecret)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(s.Username, s.Password), Host: net.JoinHostPort(host, port), Path: "/" + name}
	return u.String(), nil
}

// files opens the place of the customers' files; nil: this machine has none.
func (c Config) files(ctx context.Context) (fileStore, error) {
	if c.Files == "" {
		return nil, nil
	}
	rest, bucket := strings.CutPrefix(c.Files, "s3://")
	if !bucket {
		return folder(c.Files), nil
	}
	name, prefix, _ := strings.Cut(strings.TrimSuffix(rest, "/")+"/", "/")
	conf, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	client := s3.NewFromConfig(conf, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	})
	return &bucketStore{client: client, bucket: name, prefix: prefix}, nil
}

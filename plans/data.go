package plans

import "github.com/drover-migration/drover/migration"

// Dataset is state that moves: exactly one of its kinds.
type Dataset struct {
	Postgres *Postgres `json:"postgres,omitempty" jsonschema_description:"A PostgreSQL database. It has its own fence."`
	Files    *Files    `json:"files,omitempty" jsonschema_description:"A file tree, one folder a customer."`
}

// Postgres is a PostgreSQL database.
type Postgres struct {
	Site      Name                `json:"site" jsonschema:"required" jsonschema_description:"Site whose worker reaches the database on premises."`
	Source    PostgresSource      `json:"source" jsonschema:"required" jsonschema_description:"The database on premises."`
	Target    PostgresTarget      `json:"target" jsonschema:"required" jsonschema_description:"The database on AWS."`
	Tenancy   Tenancy             `json:"tenancy" jsonschema:"required" jsonschema_description:"How customers' rows are told apart."`
	Tables    map[TableName]Table `json:"tables,omitempty" jsonschema_description:"Tables that differ from the tenancy, by name: table, or schema.table."`
	WALBudget *WALBudget          `json:"walBudget,omitempty" jsonschema_description:"How much log the database on premises may hold back for replication. Without it, as much as its own settings allow."`
}

// PostgresSource is the database on premises.
type PostgresSource struct {
	DSN               migration.SecretRef `json:"dsn" jsonschema:"required" jsonschema_description:"Secret with the connection string, as the site's worker uses it."`
	AddressFromTarget HostPort            `json:"addressFromTarget" jsonschema:"required" jsonschema_description:"Address by which RDS reaches this database: replication runs in both directions."`
}

// PostgresTarget is the database on AWS.
type PostgresTarget struct {
	Name        Name                `json:"name" jsonschema:"required" jsonschema_description:"Target."`
	RDS         RDSName             `json:"rds" jsonschema:"required" jsonschema_description:"RDS instance identifier."`
	Credentials migration.SecretRef `json:"credentials" jsonschema:"required" jsonschema_description:"Secret with the JSON {\"username\": .., \"password\": ..}."`
}

// Tenancy says how customers' rows are told apart.
type Tenancy struct {
	Column   Column   `json:"column,omitempty" jsonschema_description:"Integer column, in every table, that holds the customer's tenant. Required."`
	Schema   Reserved `json:"schema,omitempty" jsonschema_description:"One schema a customer."`
	Database Reserved `json:"database,omitempty" jsonschema_description:"One database a customer."`
	Whole    Reserved `json:"whole,omitempty" jsonschema_description:"All customers at once."`
}

// Table says how one table differs from the tenancy: exactly one of its keys.
type Table struct {
	Column    Column `json:"column,omitempty" jsonschema_description:"Its tenant column has this name."`
	Reference Choice `json:"reference,omitempty" jsonschema:"enum=onprem,enum=aws" jsonschema_description:"It holds no tenant's data: it is written on this side and copied to the other."`
	Exclude   bool   `json:"exclude,omitempty" jsonschema:"default=false" jsonschema_description:"It stays behind."`
}

// WALBudget bounds the log held back for replication.
type WALBudget struct {
	Bytes      Bytes  `json:"bytes" jsonschema:"required" jsonschema_description:"Log held back for Drover's slots."`
	OnExceeded Choice `json:"onExceeded,omitempty" jsonschema:"enum=hold,default=hold" jsonschema_description:"hold: no Move starts until it is below again."`
}

// Files is a file tree.
type Files struct {
	Site     Name         `json:"site" jsonschema:"required" jsonschema_description:"Site whose worker sees the tree."`
	Path     CustomerPath `json:"path" jsonschema:"required" jsonschema_description:"A customer's folder, on the site's worker."`
	Target   FilesTarget  `json:"target" jsonschema:"required" jsonschema_description:"Where the files go."`
	FencedBy Name         `json:"fencedBy,omitempty" jsonschema_description:"Database dataset that the application asks before it writes a file. Required: every dataset has a fence."`
	Hook     Reserved     `json:"hook,omitempty" jsonschema_description:"A fence of the application's own."`
}

// FilesTarget is where files go.
type FilesTarget struct {
	Name   Name           `json:"name" jsonschema:"required" jsonschema_description:"Target."`
	Bucket Bucket         `json:"bucket" jsonschema:"required" jsonschema_description:"S3 bucket. It must support conditional writes."`
	Prefix CustomerPrefix `json:"prefix,omitempty" jsonschema:"default={customer}/" jsonschema_description:"A customer's keys."`
}

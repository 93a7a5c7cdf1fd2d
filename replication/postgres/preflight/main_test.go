package preflight

import (
	"os"
	"testing"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestMain(m *testing.M) { os.Exit(pairtest.Run(m)) }

const (
	s = migration.OnPrem
	d = migration.AWS
)

package verify

import (
	"context"
	"fmt"
)

// Before is what stood on premises before the load began: of every table its rows, of every file
// its content and looks. The end is held against it, less the ledger.
type Before struct {
	tables *tables
	files  map[string]map[string]file // customer -> name
}

// Look takes a Before. Nobody writes while it looks.
func Look(ctx context.Context, o Options) (*Before, error) {
	c, err := connect(ctx, o.OnPrem)
	if err != nil {
		return nil, fmt.Errorf("look at what is there before the load: connect to the database: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	b := &Before{files: map[string]map[string]file{}}
	if b.tables, err = readTables(ctx, c, nil); err != nil {
		return nil, fmt.Errorf("look at what is there before the load: %w", err)
	}
	if o.Files != nil {
		for _, c := range o.Customers {
			if b.files[c.ID], err = o.Files.tree(c.ID); err != nil {
				return nil, fmt.Errorf("look at the files of %s before the load: %w", c.ID, err)
			}
		}
	}
	return b, nil
}

package files

import (
	"context"
	"fmt"
)

// Survey lists what of a folder cannot be carried, with the reasons. A missing folder is fs.ErrNotExist.
func Survey(ctx context.Context, dir, prefix string) ([]string, error) {
	t, err := openTree(dir, false)
	if err != nil {
		return nil, err
	}
	defer t.close()
	var out []string
	for batch, err := range t.walk(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		for _, f := range batch {
			if f.refused != "" {
				out = append(out, fmt.Sprintf("%q cannot be carried: %s", f.path, f.refused))
			}
		}
	}
	return out, nil
}

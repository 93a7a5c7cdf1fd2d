package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
)

// assetVersion changes with every asset: it is part of their addresses, so that browsers keep them
// for as long as they are the same.
var assetVersion = hashAssets()

func hashAssets() string {
	sum := sha256.New()
	err := fs.WalkDir(assetFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(assetFiles, name)
		_, _ = sum.Write(append([]byte(name+"\x00"), b...)) // a hash takes everything
		return err
	})
	if err != nil {
		panic(err) // embedded files can be read
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

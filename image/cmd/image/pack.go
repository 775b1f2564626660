package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/choba-os/choba/services/register/pack"
)

// shopFile is the sample shop, in the repository.
const shopFile = "services/register/pack/sample/shop.json"

// stepPack makes the sample shop's store pack and opens it again as a register would.
func (j *job) stepPack(context.Context) (said string, err error) {
	body, err := os.ReadFile(filepath.Join(j.root, shopFile))
	if err != nil {
		return "", err
	}
	shop, err := pack.Parse(body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", shopFile, err)
	}
	if j.pack, err = pack.Seal(shop, j.keys.Store); err != nil {
		return "", err
	}
	if _, err := pack.Open(j.trust, j.pack); err != nil {
		return "", fmt.Errorf("our own store pack: %w", err)
	}
	return fmt.Sprintf("%d KiB, signed by %s", len(j.pack)>>10, j.keys.Store.Name()), j.write("shop.pack", j.pack)
}

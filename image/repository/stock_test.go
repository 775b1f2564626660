package repository

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// stock hands our folder to go-tuf's own client.
type stock struct{ f Folder }

func (s stock) DownloadFile(url string, limit int64, _ time.Duration) ([]byte, error) {
	data, err := s.f.File(context.Background(), strings.TrimPrefix(url, "https://x/"), limit)
	if errors.Is(err, ErrMissing) {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: 404}
	}
	return data, err
}

// What we write is plain TUF: go-tuf's own client, which shares none of our walk,
// takes the same manifest, after a rotation, too.
func TestStockClientTakesIt(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	v.rotate(func(r *Roles) { r.Targets = role(2, "targets2", "targets3") }, "root1", "root2", "targets3")
	v.publish(product, 8)
	cfg, err := config.New("https://x/metadata", testRoot(t))
	require.NoError(t, err)
	cfg.Fetcher, cfg.RemoteTargetsURL = stock{v.Folder}, "https://x/targets"
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = t.TempDir(), t.TempDir()
	up, err := updater.New(cfg)
	require.NoError(t, err)
	up.UnsafeSetRefTime(epoch)
	require.NoError(t, up.Refresh())
	target, err := up.GetTargetInfo(releaseFile)
	require.NoError(t, err)
	_, signed, err := up.DownloadTarget(target, "", "")
	require.NoError(t, err)
	require.Equal(t, newRegister(t).takes(v.Folder, epoch, 8).Signed, signed)
}

package dm

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaitNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dm-0")
	time.AfterFunc(20*time.Millisecond, func() { _ = os.WriteFile(path, nil, 0o600) })
	require.NoError(t, WaitNode(path))
	require.ErrorContains(t, WaitNode(path+"1"), "dm-01: it does not appear")
}

package repository

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The root's keys change from 1 to 3, one person at a time. A register that saw each
// step, one that missed them all, and one whose image has caught up, all follow.
func TestRootRotation(t *testing.T) {
	v, seen, missed := newVendor(t), newRegister(t), newRegister(t)
	v.publish(product, 7)
	seen.takes(v.Folder, epoch, 7)
	missed.takes(v.Folder, epoch, 7)
	v.rotate(func(r *Roles) { r.Root = role(2, "root2", "root3") }, "root1", "root2", "root3")
	seen.takes(v.Folder, epoch, 7)
	v.rotate(func(r *Roles) { r.Root = role(2, "root3", "root4") }, "root2", "root3", "root4")
	v.publish(product, 8)
	for _, r := range []*register{seen, missed, newRegister(t)} {
		r.takes(v.Folder, epoch, 8)
		require.Len(t, r.memory.Roots, 2)
	}
	info, err := v.Root()
	require.NoError(t, err)
	require.EqualValues(t, 3, info.Version)

	// The next image brings root 2 or 3 itself.
	for version, left := range map[int]int{2: 1, 3: 0} {
		root := v.files()[fmt.Sprintf("metadata/%d.root.json", version)]
		c, err := Open(root, seen.dir)
		require.NoError(t, err)
		o, err := c.Latest(t.Context(), v.Folder, product, hardware, epoch)
		require.NoError(t, err)
		require.Empty(t, o.Warning)
		require.Len(t, c.memory.Roots, left)
		require.NoError(t, os.Remove(filepath.Join(seen.dir, memoryFile)))
		seen.takes(v.Folder, epoch, 8)
	}

	// Roots that are held back now do not bring the old keys back.
	hidden := v.files().without("metadata/2.root.json").without("metadata/3.root.json")
	seen.takes(hidden, epoch, 8)
	require.Len(t, seen.memory.Roots, 2)
	forged := hidden.with(rootFile(t, 4, testRoles(), "root1", "root2"), "metadata/4.root.json")
	seen.refuses(forged, epoch, ErrThreshold)
	skipped := hidden.with(rootFile(t, 9, Roles{
		Root: role(2, "root3", "root4"), Targets: testRoles().Targets, Snapshot: testRoles().Snapshot, Timestamp: testRoles().Timestamp,
	}, "root3", "root4"), "metadata/9.root.json").renamed("metadata/9.root.json", "metadata/4.root.json")
	seen.refuses(skipped, epoch, ErrRollback)
}

// Half a rotation: the new root waits until enough of both sets have signed.
func TestRotationWaits(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	roles := testRoles()
	roles.Root = role(2, "root2", "root3")
	root, err := NewRoot(2, roles, forever, ring("root2"))
	require.NoError(t, err)
	require.NoError(t, v.StageRoot(root))
	for _, at := range [][]string{{"root3"}, {}} {
		waiting, err := v.Advance(ring(at...), DefaultTerms(epoch))
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		require.Contains(t, waiting[0], "staged/2.root.json needs further signatures")
	}
	newRegister(t).takes(v.Folder, epoch, 7)
	v.keys = []string{"root1", "targets1", "targets2", "snapshot", "timestamp"}
	v.advance()
	info, err := v.Root()
	require.NoError(t, err)
	require.EqualValues(t, 2, info.Version)
	skip, err := NewRoot(9, roles, forever, ring("root2", "root3"))
	require.NoError(t, err)
	require.Error(t, v.StageRoot(skip), "no version is left out")
}

// A targets key is lost or stolen: after its revocation what it signs counts for
// nothing, and the list in force is signed anew by those who remain.
func TestRevokedTargetsKey(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	old := v.files()
	r.takes(old, epoch, 7)
	v.rotate(func(roles *Roles) { roles.Targets = role(2, "targets2", "targets3") }, "root1", "root2", "targets3")
	r.takes(v.Folder, epoch, 7)
	require.Contains(t, v.files(), "metadata/2.targets.json")

	// The thief has the other online keys as well, and all of yesterday's files.
	bad := v.files().rewrite(t, "metadata/2.targets.json", fmt.Sprintf("metadata/%d.snapshot.json", 2), func(map[string]any) {}, "targets1", "targets2")
	bad = bad.resign(t, "metadata/timestamp.json", func(s map[string]any) { s["version"] = 9 }, "timestamp")
	r.refuses(bad, epoch, ErrThreshold)
	newRegister(t).refuses(bad, epoch, ErrThreshold)
	v.keys = []string{"targets2", "targets3", "snapshot", "timestamp"}
	v.publish(product, 8)
	r.takes(v.Folder, epoch, 8)
}

// Somebody with the online keys numbered his metadata so high that nothing newer can
// follow. New online keys in a new root let the register start counting again.
func TestFastForwardIsRecovered(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	const far = 1 << 52
	bad := v.files().resign(t, "metadata/1.snapshot.json", func(s map[string]any) { s["version"] = far }, "snapshot")
	bad = bad.renamed("metadata/1.snapshot.json", fmt.Sprintf("metadata/%d.snapshot.json", far))
	bad = bad.resign(t, "metadata/timestamp.json", func(s map[string]any) {
		s["version"] = far
		s["meta"] = map[string]any{"snapshot.json": describe(far, bad[fmt.Sprintf("metadata/%d.snapshot.json", far)])}
	}, "timestamp")
	r.takes(bad, epoch, 7)
	v.publish(product, 8)
	r.refuses(v.Folder, epoch, ErrRollback)
	v.keys = []string{"targets1", "targets2"}
	v.rotate(func(roles *Roles) {
		roles.Snapshot, roles.Timestamp = role(1, "snapshot2"), role(1, "timestamp2")
	}, "root1", "root2", "snapshot2", "timestamp2")
	r.takes(v.Folder, epoch, 8)
}

// A root is remembered even when the rest of the repository was no good, so that a
// revoked key does not come back by hiding the new root again.
func TestRootIsRememberedAtOnce(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	old := v.files()
	r.takes(old, epoch, 7)
	v.rotate(func(roles *Roles) { roles.Timestamp = role(1, "timestamp2") }, "root1", "root2", "timestamp2")
	r.refuses(v.files().without("metadata/timestamp.json"), epoch, ErrMissing)
	r.refuses(old, epoch, ErrThreshold)
	r.takes(v.Folder, epoch, 7)
}

// A list that nears its end is signed anew without a new release.
func TestListIsRenewed(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	v.now = epoch.Add(700 * dayLong)
	v.advance()
	require.Contains(t, v.files(), "metadata/2.targets.json")
	newRegister(t).takes(v.Folder, v.now, 7)
}

package seal

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/seal/sealtest"
)

// The index is the same on every register: the vendor signs its Name in advance.
func TestFloorName(t *testing.T) {
	want := "000b0e531220491831f37f45c311dda212298428c55509d0cf2ff4004ef3e7bf6d64"
	require.Equal(t, want, hex.EncodeToString(floorName(true).Buffer))
	for range 2 { // two chips
		c := newOwned(t)
		rsp, err := tpm2.NVReadPublic{NVIndex: floorIndex}.Execute(c.Chip)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(rsp.NVName.Buffer))
	}
}

// TestApprovedPolicyIsTheTPMs: what is computed without a TPM is what a TPM's
// session comes to.
func TestApprovedPolicyIsTheTPMs(t *testing.T) {
	c := newOwned(t)
	c.boot("image", "on", System(rootOne))
	for _, version := range []uint64{0, 1, 255, 1 << 40, 1<<64 - 1} {
		s, end, err := tpm2.PolicySession(c.Chip, tpm2.TPMAlgSHA256, nonceSize)
		require.NoError(t, err)
		_, err = tpm2.PolicyPCR{PolicySession: s.Handle(), Pcrs: selection(pcrChoice)}.Execute(c.Chip)
		require.NoError(t, err)
		step := atMost(version)
		step.PolicySession = s.Handle()
		_, err = step.Execute(c.Chip)
		require.NoError(t, err)
		got, err := tpm2.PolicyGetDigest{PolicySession: s.Handle()}.Execute(c.Chip)
		require.NoError(t, err)
		require.Equal(t, ApprovedPolicy(rootOne, version), got.PolicyDigest.Buffer)
		require.NoError(t, end())
	}
}

// sealed is a machine in service: owned, running version 7, floor 0, with a key.
func sealed(t *testing.T) (*chip, vendor, Blob) {
	c, v := newOwned(t), newVendor(t)
	c.boot("image", "on", System(rootOne))
	at, err := c.Boot()
	require.NoError(t, err)
	blob, err := c.Seal(secret, v.pkix, at)
	require.NoError(t, err)
	return c, v, blob
}

// TestFloor: a release approved for version N opens the key while the floor is at
// most N. What the caller says its version is does not matter; what was signed does.
func TestFloor(t *testing.T) {
	c, v, blob := sealed(t)
	for floor := range uint64(10) {
		require.NoError(t, c.RaiseFloor(floor, ownerOne))
		got, err := c.Unseal(blob, v.approveVersion(rootOne, 7))
		if floor <= 7 {
			require.NoError(t, err)
			require.Equal(t, secret, got)
			continue
		}
		require.ErrorIs(t, err, ErrFloor)
		require.ErrorContains(t, err, "an older release than this register has committed")
		lying := v.approveVersion(rootOne, 7)
		lying.Version = 99 // an environment that a conquered boot would hand on
		_, err = c.Unseal(blob, lying)
		require.ErrorIs(t, err, ErrSignature)
	}
	require.NoError(t, c.RaiseFloor(3, ownerOne), "lower is no error and no change")
	require.NoError(t, c.Own(ownerOne, 3))
	now, err := c.Floor()
	require.NoError(t, err)
	require.EqualValues(t, 9, now)
	c.boot("image", "on", System(rootOne)) // and it stays so without power
	_, err = c.Unseal(blob, v.approveVersion(rootOne, 8))
	require.ErrorIs(t, err, ErrFloor)
	_, err = c.Unseal(blob, v.approveVersion(rootOne, 9))
	require.NoError(t, err)
}

// TestFloorAttacks: what somebody with all of the machine's rights, but without the
// data key, can do to the floor.
func TestFloorAttacks(t *testing.T) {
	c, v, blob := sealed(t)
	require.NoError(t, c.RaiseFloor(8, ownerOne))
	wrong := Owner([]byte("another key"))
	for _, by := range []OwnerSecret{{}, wrong} {
		require.ErrorIs(t, c.RaiseFloor(9, by), ErrOwned)
		require.ErrorIs(t, c.writeFloor(by, 1, true), ErrOwned, "lowered")
		_, err := tpm2.NVUndefineSpace{AuthHandle: by.auth(), NVIndex: floorHandle(true)}.Execute(c.Chip)
		require.ErrorIs(t, owner("", err), ErrOwned, "undefined")
		require.ErrorIs(t, c.evict(by, tpm2.NamedHandle{Handle: storageHandle, Name: must(t, c.TPM).name}), ErrOwned, "storage key")
		if by != (OwnerSecret{}) {
			require.ErrorIs(t, c.Own(by, 0), ErrOwned)
		}
	}
	// As the index itself: it may be read that way, not written.
	_, err := tpm2.NVWrite{AuthHandle: readable(), NVIndex: floorHandle(true), Data: tpm2.TPM2BMaxNVBuffer{Buffer: make([]byte, 8)}}.Execute(c.Chip)
	require.Error(t, err)
	require.ErrorIs(t, c.Prepare(0), ErrOwned)
	require.ErrorContains(t, c.Prepare(0), "clear it in the firmware's set-up")
	now, err := c.Floor()
	require.NoError(t, err)
	require.EqualValues(t, 8, now)
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrFloor)

	// Clearing the TPM takes the floor away, and the key with it.
	require.NoError(t, c.Clear())
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrOtherTPM)
	require.ErrorIs(t, err, ErrNobody)
	require.NoError(t, c.Own(ownerOne, 0))
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrOtherTPM)
	require.False(t, errors.Is(err, ErrNobody))
}

func must(t *testing.T, c *TPM) storageKey {
	key, err := c.parent()
	require.NoError(t, err)
	return key
}

// TestNoFloor: a floor that is missing, unwritten, or a stranger's is no floor.
func TestNoFloor(t *testing.T) {
	c, v := newChip(t), newVendor(t)
	c.boot("image", "on", System(rootOne))
	at, err := c.Boot()
	require.NoError(t, err)
	blob, err := c.Seal(secret, v.pkix, at)
	require.NoError(t, err, "as disks were made before there were floors")
	refused := func(why error) {
		t.Helper()
		_, err := c.Unseal(blob, v.approve(rootOne))
		require.ErrorIs(t, err, why)
		require.ErrorContains(t, err, why.Error())
	}
	_, err = c.Floor()
	require.ErrorIs(t, err, ErrNoFloor)
	refused(ErrNoFloor)
	require.ErrorIs(t, c.RaiseFloor(1, OwnerSecret{}), ErrNoFloor)
	require.NoError(t, c.defineFloor(OwnerSecret{}))
	_, err = c.Floor()
	require.ErrorIs(t, err, ErrNoFloor, "unwritten")
	refused(ErrNoFloor)

	// A stranger's index in the place, which everybody may write.
	_, err = tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: floorHandle(false)}.Execute(c.Chip)
	require.NoError(t, err)
	public := floorPublic(false)
	public.Attributes.AuthWrite = true
	_, err = tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(public)}.Execute(c.Chip)
	require.NoError(t, err)
	name, err := tpm2.NVName(&public)
	require.NoError(t, err)
	index := tpm2.NamedHandle{Handle: floorIndex, Name: *name}
	_, err = tpm2.NVWrite{AuthHandle: tpm2.AuthHandle{Handle: floorIndex, Name: *name, Auth: tpm2.PasswordAuth(nil)}, NVIndex: index,
		Data: tpm2.TPM2BMaxNVBuffer{Buffer: make([]byte, 8)}}.Execute(c.Chip)
	require.NoError(t, err)
	refused(ErrNoFloor)

	for _, floor := range []uint64{2, 4} { // given to an owner, and raised by a later Own
		require.NoError(t, c.Own(ownerOne, floor))
		now, err := c.Floor()
		require.NoError(t, err)
		require.Equal(t, floor, now)
	}
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.NoError(t, err, "the same storage key, passing or kept")
}

// TestStrangersStorageKey: what another system left in the place of our storage key
// neither opens nor stops anything.
func TestStrangersStorageKey(t *testing.T) {
	c, v, blob := sealed(t)
	require.NoError(t, c.Clear())
	rsa, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.RSASRKTemplate)}.Execute(c.Chip)
	require.NoError(t, err)
	require.NoError(t, c.evict(OwnerSecret{}, tpm2.NamedHandle{Handle: rsa.ObjectHandle, Name: rsa.Name}))
	c.flush(rsa.ObjectHandle)
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrOtherTPM)
	require.NoError(t, c.Own(ownerOne, 0))
	at, err := c.Boot()
	require.NoError(t, err)
	blob, err = c.Seal(secret, v.pkix, at)
	require.NoError(t, err)
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.NoError(t, err)
}

// TestOwnEveryCut: the power goes before each command of Own, and Own is called again
// at the next boot. The floor never falls, and the owner is set once.
func TestOwnEveryCut(t *testing.T) {
	whole := newChip(t)
	fresh, err := whole.Memory()
	require.NoError(t, err)
	require.NoError(t, whole.Own(ownerOne, 5))
	n := len(whole.Log)
	for cut := range n + 1 {
		c := chipWith(t, fresh)
		c.Left = cut
		err := c.Own(ownerOne, 5)
		if cut < n {
			require.ErrorIs(t, err, sealtest.ErrPower, "cut %d", cut)
		}
		c.boot("image", "on", System(rootOne))
		for range 2 {
			require.NoError(t, c.Own(ownerOne, 3), "cut %d", cut)
			owned, err := c.Owned()
			require.NoError(t, err)
			require.True(t, owned)
			now, err := c.Floor()
			require.NoError(t, err)
			require.Contains(t, []uint64{3, 5}, now)
			require.True(t, cut < n || now == 5)
		}
		require.ErrorIs(t, c.Own(Owner([]byte("x")), 0), ErrOwned)
		require.NoError(t, c.RaiseFloor(6, ownerOne))
		c.Off()
	}
	t.Logf("%d commands, %d cuts", n, n+1)
}

// TestCommands counts what a boot costs. The pages of figures quote it.
func TestCommands(t *testing.T) {
	c, v, blob := sealed(t)
	c.Log = nil
	_, err := c.Unseal(blob, v.approve(rootOne))
	require.NoError(t, err)
	kept := len(c.Log)
	t.Logf("unseal with a kept storage key: %d commands: %v", kept, c.Log)
	require.LessOrEqual(t, kept, 14)
	c.Log = nil
	require.NoError(t, c.RaiseFloor(1, ownerOne))
	t.Logf("raise the floor: %d commands", len(c.Log))
	require.LessOrEqual(t, len(c.Log), 3)
}

// TestOwnerCrossesTheBusHidden: neither setting nor using the owner's password shows it.
func TestOwnerCrossesTheBusHidden(t *testing.T) {
	c := newChip(t)
	wire := &listener{c.Chip, nil}
	tpm := New(wire)
	require.NoError(t, tpm.Own(ownerOne, 1))
	require.NoError(t, tpm.RaiseFloor(2, ownerOne))
	require.NotContains(t, string(wire.heard), string(ownerOne[:8]))
	require.Contains(t, string(wire.heard), "\x00\x00\x00\x00\x00\x00\x00\x02")
}

type listener struct {
	*sealtest.Chip
	heard []byte
}

func (l *listener) Send(command []byte) ([]byte, error) {
	answer, err := l.Chip.Send(command)
	l.heard = append(append(l.heard, command...), answer...)
	return answer, err
}

func TestCheckApproval(t *testing.T) {
	v := newVendor(t)
	good := v.approveVersion(rootOne, 7)
	require.NoError(t, CheckApproval(good))
	for name, change := range map[string]func(a *Approval){
		"version":   func(a *Approval) { a.Version = 8 },
		"root hash": func(a *Approval) { a.RootHash = rootTwo },
		"signature": func(a *Approval) { a.Signature = append([]byte{1}, a.Signature[1:]...) },
		"short":     func(a *Approval) { a.Signature = a.Signature[1:] },
		"key":       func(a *Approval) { a.Key = newVendor(t).pkix },
	} {
		bad := good
		change(&bad)
		require.ErrorIs(t, CheckApproval(bad), ErrSignature, name)
	}
	good.Key = nil
	require.ErrorContains(t, CheckApproval(good), "reading policy key")
}

// TestPredictImage: the firmware's events of PCR 4, with one image replaced.
func TestPredictImage(t *testing.T) {
	c := newChip(t)
	d := func(text string) [32]byte { return Event(text).digest() }
	events := []Digest{d("calling EFI application"), d("separator"), d("old image")}
	for _, e := range events {
		require.NoError(t, c.Extend(pcrImage, e))
	}
	now, err := c.Boot()
	require.NoError(t, err)
	got, err := PredictImage(events, now.Image, d("old image"), d("new image"))
	require.NoError(t, err)
	next := newChip(t)
	for _, e := range append(events[:2:2], d("new image")) {
		require.NoError(t, next.Extend(pcrImage, e))
	}
	want, err := next.Boot()
	require.NoError(t, err)
	require.Equal(t, want.Image, got)

	_, err = PredictImage(events[:2], now.Image, d("old image"), d("new image"))
	require.ErrorIs(t, err, ErrEvents, "an event is missing")
	_, err = PredictImage(events, now.Image, d("another image"), d("new image"))
	require.ErrorIs(t, err, ErrNotInLog)
	twice := []Digest{d("old image"), d("retry"), d("old image")}
	got, err = PredictImage(twice, replay(twice), d("old image"), d("new image"))
	require.NoError(t, err)
	require.Equal(t, replay([]Digest{d("old image"), d("retry"), d("new image")}), got, "only the last one")
	require.Equal(t, d("old image"), [32]byte(twice[2]), "the caller's list stays")
	_, err = PredictImage(nil, Digest{}, d("a"), d("b"))
	require.ErrorIs(t, err, ErrNotInLog)
}

package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func testMaterials(t *testing.T) (*job, bom, []byte) {
	j := testJob(t, t.TempDir())
	j.programs["./init"] = sample(t, j.config, "./keys/cmd")
	_, err := j.stepKeys(t.Context())
	require.NoError(t, err)
	text, err := j.materials()
	require.NoError(t, err)
	var b bom
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&b))
	again, err := j.materials()
	require.NoError(t, err)
	require.Equal(t, text, again)
	return j, b, text
}

// The fields that CycloneDX 1.5's schema (bom-1.5.schema.json) requires are there, in
// the spelling that it requires (A122, C12).
func TestMaterialsFitTheSchema(t *testing.T) {
	_, b, text := testMaterials(t)
	require.Equal(t, "http://cyclonedx.org/schema/bom-1.5.schema.json", b.Schema)
	require.Equal(t, "CycloneDX", b.Format)
	require.Equal(t, "1.5", b.Spec)
	require.Equal(t, 1, b.Version)
	require.Regexp(t, `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, b.Serial)
	require.NotContains(t, string(text), "null")
	refs := map[string]bool{"product": true}
	for _, c := range b.Components {
		require.Contains(t, []string{"application", "library", "operating-system", "file"}, c.Type)
		require.NotEmpty(t, c.Name)
		require.NotEmpty(t, c.Ref)
		require.False(t, refs[c.Ref], "%s stands twice", c.Ref)
		refs[c.Ref] = true
		require.True(t, c.PURL != "" || len(c.Hashes) > 0, "%s can be looked up", c.Name)
		for _, h := range c.Hashes {
			require.Equal(t, "SHA-256", h.Algorithm)
			require.Regexp(t, "^[0-9a-f]{64}$", h.Content)
		}
		for _, l := range c.Licenses {
			require.Contains(t, []string{"GPL-2.0-only", "OFL-1.1"}, l.License.ID)
		}
	}
	product := dependency{}
	for _, d := range b.Dependencies {
		require.True(t, refs[d.Ref], d.Ref)
		for _, on := range d.DependsOn {
			require.True(t, refs[on], on)
		}
		if d.Ref == "product" {
			product = d
		}
	}
	require.NotEmpty(t, product.DependsOn)
}

// It lists what the linker wrote into the programs, the kernel and the typefaces.
func TestMaterialsAreComplete(t *testing.T) {
	j, b, _ := testMaterials(t)
	found := map[string]component{}
	for _, c := range b.Components {
		found[c.Name] = c
	}
	require.Contains(t, found, "boot.efi (Linux and recovery)")
	require.Equal(t, "pkg:generic/linux@6.12.0", found["linux"].PURL)
	require.Contains(t, found["std"].PURL, "pkg:golang/std@1.")
	for _, face := range []string{"screen/regular.ttf", "paper/bold.ttf", "message/regular.ttf"} {
		require.Contains(t, found, "BIZ UDGothic (cut): drivers/display/fonts/"+face)
	}
	info, err := buildinfo.ReadFile(j.programs["./init"])
	require.NoError(t, err)
	require.NotEmpty(t, info.Deps)
	for _, m := range info.Deps {
		c := found[m.Path]
		require.Equal(t, m.Version, c.Version)
		require.Equal(t, []property{{"go:sum", m.Sum}}, c.Properties)
	}
	require.Len(t, found[info.Path].Hashes, 1)
}

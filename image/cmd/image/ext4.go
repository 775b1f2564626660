package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The empty file system that init copies into the data partition at first boot and
// grows with EXT4_IOC_RESIZE_FS. What it says:
//   - meta_bg, and no resize_inode: group descriptors lie in their own groups, so
//     that it grows to any size without reserving room for it;
//   - 64bit, flex_bg, metadata_csum: as large and as careful as ext4 gets;
//   - an 8 MiB journal: enough at any size for what a register writes;
//   - inode tables and journal are zeroed here, so that nothing depends on what the
//     disk held before;
//   - small (32 MiB), since all of it goes through dm-crypt once.
const (
	ext4Size     = 32 << 20
	ext4Features = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super," +
		"large_file,huge_file,dir_nlink,extra_isize,metadata_csum,meta_bg"
	ext4UUID     = "c0ba0000-0000-4000-8000-0000da7a0001"
	ext4HashSeed = "c0ba0000-0000-4000-8000-0000da7a0002"
	// mke2fs reads defaults from a file of the machine; ours says nothing.
	ext4Config = "[defaults]\n[fs_types]\n ext4 = {\n }\n small = {\n }\n"
)

func ext4Args(path string) []string {
	return []string{
		"-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "8192", "-m", "1", "-L", "choba-data",
		"-U", ext4UUID, "-J", "size=8", "-O", ext4Features,
		"-E", "hash_seed=" + ext4HashSeed + ",lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard", path,
	}
}

// emptyExt4 returns the file system, gzipped.
func (c config) emptyExt4(ctx context.Context) ([]byte, bool, error) {
	tool := "/sbin/mkfs.ext4"
	version, err := exec.CommandContext(ctx, tool, "-V").CombinedOutput()
	if err != nil {
		return nil, false, fmt.Errorf("mkfs.ext4: %w", err)
	}
	k := key(string(version), strings.Join(ext4Args(""), " "), ext4Config, fixedEpoch, fmt.Sprint(ext4Size))
	path, hit, err := cache{c.cache}.file("ext4", k, func(path string) error {
		image, err := makeExt4(ctx, tool, filepath.Dir(path))
		if err != nil {
			return err
		}
		return os.WriteFile(path, image, 0o644)
	})
	if err != nil {
		return nil, false, fmt.Errorf("making the empty file system: %w", err)
	}
	data, err := os.ReadFile(path)
	return data, hit, err
}

func makeExt4(ctx context.Context, tool, dir string) ([]byte, error) {
	raw, conf := filepath.Join(dir, "ext4"), filepath.Join(dir, "mke2fs.conf")
	if err := os.WriteFile(conf, []byte(ext4Config), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(raw, nil, 0o644); err != nil {
		return nil, err
	}
	if err := os.Truncate(raw, ext4Size); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, tool, ext4Args(raw)...)
	cmd.Env = append(os.Environ(), "MKE2FS_CONFIG="+conf, "E2FSPROGS_FAKE_TIME="+fixedEpoch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", tool, err, out)
	}
	image, err := os.ReadFile(raw)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(image); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

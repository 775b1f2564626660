package verdict

import (
	"fmt"
	"regexp"
	"strings"
)

// reason is what the gate or recovery says of a failed release, with its sentence for the shop.
type reason struct {
	english  *regexp.Regexp
	japanese string
}

// reasons are all of them. The first that fits counts; the part in brackets names services. They are compiled when one
// is wanted: few boots do, and every boot waits for PID 1.
func reasons() []reason {
	return []reason{
		{regexp.MustCompile(`^not ready in time: (.*)$`), "時間内に準備が整いませんでした"},
		{regexp.MustCompile(`^silent for .*: (.*)$`), "準備のあと、応答がなくなりました"},
		{regexp.MustCompile(`^([a-z-]+) ended `), "プログラムが異常終了しました"},
		{regexp.MustCompile(`watchdog`), "起動の途中で応答がなくなりました"},
		{regexp.MustCompile(`in its trials|did not reach ready`), "起動に続けて失敗しました"},
	}
}

// services are the names of services for the shop.
var services = map[string]string{
	"journal": "取引の記録", "ports": "機器の接続", "network": "ネットワーク", "stick": "USBメモリー", "update": "更新",
	"scanner": "スキャナー", "printer": "プリンター", "register": "レジ", "screen": "画面",
}

// Japanese is the sentence for the shop about a version that failed. The technical reason is the dealer's and stays as
// it was written.
func Japanese(version uint64, cause string) string {
	for _, r := range reasons() {
		m := r.english.FindStringSubmatch(cause)
		if m == nil {
			continue
		}
		if len(m) == 1 {
			return fmt.Sprintf("バージョン %d は%s。", version, r.japanese)
		}
		return fmt.Sprintf("バージョン %d は%s（%s）。", version, r.japanese, names(m[1]))
	}
	return fmt.Sprintf("バージョン %d は正しく動作しませんでした。", version)
}

// names translates a list of services; what is no service stays as it is.
func names(list string) string {
	var out []string
	for _, n := range strings.Split(list, ", ") {
		if ja, ok := services[n]; ok {
			n = ja
		}
		out = append(out, n)
	}
	return strings.Join(out, "、")
}

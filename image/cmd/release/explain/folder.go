package explain

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/trust"
)

// folder explains a repository as a register without memory of earlier ones sees it.
func folder(f repository.Folder, root trust.Root, r Register) (Page, error) {
	var p Page
	info, err := f.Root()
	if err != nil {
		return p, err
	}
	p.about("This is a repository folder.")
	rootPage(&p, info)
	offered, err := f.Offered()
	if err != nil {
		return p, err
	}
	for _, o := range offered {
		p.about("It lists %s.", o)
	}
	if r.Root == nil {
		if r.Root, err = f.File(context.Background(), "metadata/1.root.json", maxSmall); err != nil {
			return p, err
		}
		p.about("No root of trust was given (-root): its own first one is believed here, a register believes the one that is built in.")
	}
	offer, err := ask(f, root, r)
	if err != nil {
		p.bad("Its metadata is refused: %v. %s", err, remedy(err))
		return p, nil
	}
	p.good("Its metadata is in order, and good until %s.", offer.Expires.Format("2006-01-02 15:04 MST"))
	if offer.Warning != "" {
		p.about("Note: %s.", offer.Warning)
	}
	m, _, err := Manifest(offer.Signed)
	if err != nil {
		return p, err
	}
	p.about("A register is offered %s version %d (%s), in %s.", m.Product, m.Version, m.Name, offer.Bundle)
	judge(&p, m, offer.Signed, root, r)
	body, err := f.Range(context.Background(), offer.Bundle, 0, 64<<10)
	if err != nil {
		p.bad("The bundle is not there: %v.", err)
		return p, nil
	}
	defer body.Close()
	b, err := release.OpenBundle(body)
	p.judge(err == nil && string(b.Signed) == string(offer.Signed), "The bundle is there, under the manifest's own name.",
		"The bundle that is there is another one than its name says.")
	return p, nil
}

func ask(f repository.Folder, root trust.Root, r Register) (repository.Offer, error) {
	dir, err := os.MkdirTemp("", "choba-explain-")
	if err != nil {
		return repository.Offer{}, err
	}
	defer os.RemoveAll(dir)
	c, err := repository.Open(r.Root, dir)
	if err != nil {
		return repository.Offer{}, err
	}
	return c.Latest(context.Background(), f, root.Product, r.Hardware, r.Now)
}

// remedy says what to do about a refusal, where there is one thing to do.
func remedy(err error) string {
	switch {
	case errors.Is(err, repository.ErrExpired):
		return "Renew it (release refresh), or set the register's clock right."
	case errors.Is(err, repository.ErrThreshold):
		return "Have the missing people sign (release sign), then release refresh."
	case errors.Is(err, repository.ErrProduct):
		return "Publish a release for this product and hardware."
	case errors.Is(err, repository.ErrMissing):
		return "Copy the whole folder again."
	}
	return ""
}

// rootPage says who holds which role.
func rootPage(p *Page, info repository.RootInfo) {
	p.about("Root of trust: version %d, good until %s, signed by %s.", info.Version, info.Expires.Format("2006-01-02"), list(info.Signers))
	for _, name := range []string{"root", "targets", "snapshot", "timestamp"} {
		role, err := info.Roles.Of(name)
		if err != nil {
			continue
		}
		var names []string
		for _, k := range role.Keys {
			names = append(names, k.Name)
		}
		p.about("  %-9s %d of %d: %s", name, role.Threshold, len(names), strings.Join(names, ", "))
	}
	if !info.Signed {
		p.about("It still needs signatures: %d of its root keys must sign.", info.Roles.Root.Threshold)
	}
	if info.Insecure() {
		p.about("Its keys are development keys (INSECURE).")
	}
}

package tax

import "fmt"

// Registration is the number of a seller who may issue qualified invoices (適格請求書発行事業者登録番号): T and 13 digits. Empty for a seller
// who is not registered, and must then not be printed.
type Registration string

// ParseRegistration checks the form, and the check digit of corporate numbers (平成26年財務省令70号 2条). The rule for the numbers of people is not
// published, so for a sole trader only the form is checked.
func ParseRegistration(text string, soleTrader bool) (Registration, error) {
	if len(text) != 14 || text[0] != 'T' {
		return "", fmt.Errorf("reading the registration number %q: want T and 13 digits", text)
	}
	for i := 1; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return "", fmt.Errorf("reading the registration number %q: want T and 13 digits", text)
		}
	}
	if want := registrationCheck(text[2:]); !soleTrader && text[1] != want {
		return "", fmt.Errorf("reading the registration number %q: the first digit is %c, by the others it would be %c", text, text[1], want)
	}
	return Registration(text), nil
}

// registrationCheck: from the right, weights 1, 2, 1 …; nine less the sum's remainder by nine.
func registrationCheck(twelve string) byte {
	sum, weight := 0, 1
	for i := len(twelve) - 1; i >= 0; i-- {
		sum += int(twelve[i]-'0') * weight
		weight = 3 - weight
	}
	return byte('0' + 9 - sum%9)
}

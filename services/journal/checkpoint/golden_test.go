package checkpoint_test

// What format 1 is, byte for byte. A change here is a change of the format.
const (
	goldenTree = `choba/34750f98bd59fcfc/01020304
5
PH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs=

— choba/34750f98bd59fcfc/01020304 QXuiZiMjntn84tLRgFEodQJ3Gx7WKwyM4UrvwNSzKtz3MeXO4B02P4zofmlj9W9XsDJJzR/G3FJcOlXdcDYDJETM+Qk=
`

	goldenDevice = `choba journal device 1
origin choba/34750f98bd59fcfc/01020304
key choba/34750f98bd59fcfc/device+8781c67f+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c

— choba/34750f98bd59fcfc/device h4HGfzCUOdB2GvlRWAzCy+wtQ9tKFl711u/VX6Rkvmxp+6/67xsM8qtB7YrbIzPnoSAQG4v7I1aN2GZ1ht4x/CyeCgc=
`

	goldenSession = `choba journal session 1
origin choba/34750f98bd59fcfc/01020304
session 3
boot 6ac0ffee
size 5
root PH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs=
key choba/34750f98bd59fcfc/01020304+417ba266+AYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU

— choba/34750f98bd59fcfc/device h4HGf1eUUP7xOAitqNtb8i2PcPuV3J0FfSA0+OSJBR0cSyxn+QgWU4V6kZiHbxP0ww3pgweEayNg9j/ytPbXkr2Kdgo=
`
)

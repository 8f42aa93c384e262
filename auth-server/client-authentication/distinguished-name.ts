import 'reflect-metadata'
import type { X509Certificate } from 'node:crypto'
import { X509Certificate as DecodedCertificate } from '@peculiar/x509'

/** A relative distinguished name: attribute types as dotted OIDs with their values, in no order (X.501 section 8.5). */
type Attributes = readonly string[]

/**
 * Whether a certificate's subject is the one that was registered as text (RFC 8705 section 2.1.2: compared as names, not as
 * strings). Attribute types may be spelt as OID or by any of their short names, spaces around separators and letter case of
 * values do not matter. The text may begin at either end, as RFC 4514 writes it or as a certificate holds it: both are about.
 */
export function isSubjectOf(certificate: X509Certificate, registered: string): boolean {
  const wanted = parseDistinguishedName(registered)?.map(canonical)
  if (wanted === undefined) return false
  const actual = subjectOf(certificate).map(canonical)
  const same = (names: readonly string[]) => names.length === actual.length && names.every((name, index) => name === actual[index])
  return same(wanted) || same(wanted.toReversed())
}

function subjectOf(certificate: X509Certificate): Attributes[] {
  const { subjectName } = new DecodedCertificate(certificate.raw)
  return subjectName
    .toJSON()
    .map((attributes) => Object.entries(attributes).flatMap(([type, values]) => values.map((value) => attribute(type, value))))
}

const canonical = (attributes: Attributes): string => [...attributes].sort().join('\n')

const attribute = (type: string, value: string): string =>
  `${oids[type.toLowerCase()] ?? type.replace(/^oid\./i, '')}=${value.trim().replace(/\s+/g, ' ').toLowerCase()}`

/** Short names of RFC 4514 section 3, and those that directories and OpenSSL write. Everything else goes by its OID. */
const oids: Readonly<Record<string, string>> = {
  cn: '2.5.4.3',
  sn: '2.5.4.4',
  serialnumber: '2.5.4.5',
  c: '2.5.4.6',
  l: '2.5.4.7',
  st: '2.5.4.8',
  s: '2.5.4.8',
  street: '2.5.4.9',
  o: '2.5.4.10',
  ou: '2.5.4.11',
  t: '2.5.4.12',
  title: '2.5.4.12',
  businesscategory: '2.5.4.15',
  postalcode: '2.5.4.17',
  g: '2.5.4.42',
  gn: '2.5.4.42',
  givenname: '2.5.4.42',
  i: '2.5.4.43',
  organizationidentifier: '2.5.4.97',
  dc: '0.9.2342.19200300.100.1.25',
  uid: '0.9.2342.19200300.100.1.1',
  e: '1.2.840.113549.1.9.1',
  emailaddress: '1.2.840.113549.1.9.1',
  jurisdictionc: '1.3.6.1.4.1.311.60.2.1.3',
  jurisdictioncountryname: '1.3.6.1.4.1.311.60.2.1.3',
}

/** RFC 4514 section 3; undefined for what is no such text. */
export function parseDistinguishedName(text: string): Attributes[] | undefined {
  const names: string[][] = [[]]
  let rest = text.trim()
  for (;;) {
    const [whole, type, hex, quoted, plain] = pair.exec(rest) ?? []
    if (whole === undefined || type === undefined) return undefined
    names.at(-1)?.push(attribute(type, hex === undefined ? unescaped(quoted ?? plain ?? '') : fromDer(hex)))
    rest = rest.slice(whole.length)
    if (rest === '') return names
    if (rest.startsWith(',')) names.push([])
    rest = rest.slice(1)
  }
}

/** `type = value`, the value as `#hex`, in quotes, or plain with escapes. */
const pair =
  /^\s*([A-Za-z][A-Za-z0-9-]*|(?:[oO][iI][dD]\.)?\d+(?:\.\d+)+)\s*=\s*(?:#((?:[0-9A-Fa-f]{2})+)|"((?:[^"\\]|\\.)*)"|((?:[^,+"\\<>;]|\\.)*))\s*(?=[,+]|$)/

/** Escaped pairs are bytes of UTF-8 or the character itself. */
function unescaped(value: string): string {
  return value
    .replace(/(?:\\[0-9A-Fa-f]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll('\\', ''), 'hex').toString('utf8'))
    .replace(/\\(.)/g, '$1')
}

/** A value as BER: the strings that names hold are short, so tag and length are one byte each. */
const fromDer = (hex: string): string => Buffer.from(hex, 'hex').subarray(2).toString('utf8')

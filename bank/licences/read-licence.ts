import { type PspRole, pspRoles } from './psp-roles.ts'

/** What the statements of a qualified certificate say about its holder and its use. */
export type QualifiedStatements = {
  readonly licence: Licence | undefined
  /** For websites (and clients of them), or for seals; undefined when it does not say. */
  readonly use: 'website' | 'seal' | 'signature' | undefined
}

export type Licence = { readonly roles: ReadonlySet<PspRole>; readonly authorityName: string; readonly authorityId: string }

const statementOids = { type: '0.4.0.1862.1.6', licence: '0.4.0.19495.2' } as const
const uses: Readonly<Record<string, QualifiedStatements['use']>> = {
  '0.4.0.1862.1.6.1': 'signature',
  '0.4.0.1862.1.6.2': 'seal',
  '0.4.0.1862.1.6.3': 'website',
}
const roleNames = new Map<string, PspRole>(Object.entries(pspRoles).map(([name, oid]) => [oid, name as PspRole]))

/**
 * Reads the extension 1.3.6.1.5.5.7.1.3 of a certificate. Roles that the standard does not know open nothing and are left out.
 *
 * @returns undefined for what is no such extension.
 * @see ETSI EN 319 412-5 section 4, ETSI TS 119 495 section 5.1
 */
export function readQualifiedStatements(der: Uint8Array): QualifiedStatements | undefined {
  try {
    const statements = new Map(childrenOf(only(der, tags.sequence)).map((statement) => readStatement(statement)))
    const type = statements.get(statementOids.type)
    const licence = statements.get(statementOids.licence)
    return {
      use: type && uses[readOid(childrenOf(expected(type, tags.sequence))[0])],
      licence: licence && readLicence(licence),
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function readStatement(statement: Element): [oid: string, info: Element | undefined] {
  const [oid, info] = childrenOf(expected(statement, tags.sequence))
  return [readOid(oid), info]
}

function readLicence(statement: Element): Licence {
  const [roles, name, id] = childrenOf(expected(statement, tags.sequence))
  const oids = childrenOf(expected(roles, tags.sequence)).map((role) => readOid(childrenOf(expected(role, tags.sequence))[0]))
  const known = oids.flatMap((oid) => roleNames.get(oid) ?? [])
  return { roles: new Set(known), authorityName: readText(name), authorityId: readText(id) }
}

// This much DER is all that the statements need. Whatever is not as it must be is a RangeError.
type Element = { readonly tag: number; readonly content: Uint8Array }
const tags = { oid: 0x06, utf8: 0x0c, sequence: 0x30 } as const

function childrenOf({ content }: Element): Element[] {
  const found: Element[] = []
  for (let at = 0; at < content.length; ) {
    const { element, end } = elementAt(content, at)
    found.push(element)
    at = end
  }
  return found
}

function elementAt(bytes: Uint8Array, start: number): { element: Element; end: number } {
  const [tag, first] = [byteAt(bytes, start), byteAt(bytes, start + 1)]
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > 2) throw new RangeError('too long')
  let length = first < 0x80 ? first : 0
  for (let index = 0; index < lengthBytes; index++) length = length * 256 + byteAt(bytes, start + 2 + index)
  const from = start + 2 + lengthBytes
  if (from + length > bytes.length) throw new RangeError('cut short')
  return { element: { tag, content: bytes.subarray(from, from + length) }, end: from + length }
}

function only(bytes: Uint8Array, tag: number): Element {
  const { element, end } = elementAt(bytes, 0)
  if (end !== bytes.length) throw new RangeError('something follows')
  return expected(element, tag)
}

function expected(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new RangeError('of another type')
  return element
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError('cut short')
  return byte
}

function readOid(element: Element | undefined): string {
  const { content } = expected(element, tags.oid)
  const numbers: number[] = []
  let number = 0
  for (const byte of content) {
    number = number * 128 + (byte & 0x7f)
    if (number > Number.MAX_SAFE_INTEGER) throw new RangeError('too long')
    if (byte < 0x80) {
      numbers.push(number)
      number = 0
    }
  }
  const [first = 0, ...rest] = numbers
  const root = Math.min(2, Math.floor(first / 40))
  return [root, first - root * 40, ...rest].join('.')
}

const readText = (element: Element | undefined): string => Buffer.from(expected(element, tags.utf8).content).toString('utf8')

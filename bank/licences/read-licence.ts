import { childrenOf, type DerElement, expected, only, derTags as tags } from '@bankside/service-kit/der'
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

function readStatement(statement: DerElement): [oid: string, info: DerElement | undefined] {
  const [oid, info] = childrenOf(expected(statement, tags.sequence))
  return [readOid(oid), info]
}

function readLicence(statement: DerElement): Licence {
  const [roles, name, id] = childrenOf(expected(statement, tags.sequence))
  const oids = childrenOf(expected(roles, tags.sequence)).map((role) => readOid(childrenOf(expected(role, tags.sequence))[0]))
  const known = oids.flatMap((oid) => roleNames.get(oid) ?? [])
  return { roles: new Set(known), authorityName: readText(name), authorityId: readText(id) }
}

function readOid(element: DerElement | undefined): string {
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

const readText = (element: DerElement | undefined): string => Buffer.from(expected(element, tags.utf8).content).toString('utf8')

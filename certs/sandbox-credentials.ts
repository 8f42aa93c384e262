import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { AuthorityInfoAccessExtension, ExtendedKeyUsage, type JsonName } from '@peculiar/x509'
import { type Credential, issue, type KeyKind } from './authority.ts'
import { type PspRole, qualifiedStatements } from './qualified-statements.ts'

/** Everything in the sandbox runs on one machine. */
const localNames = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
] as const

/** For our own listeners. @param otherNames under which they are also reached, as containers are under those of their services. */
export function issueServerCertificate(
  authority: Credential,
  { keyKind, now, otherNames = [] }: { keyKind: KeyKind; now: Date; otherNames?: readonly string[] },
): Promise<Credential> {
  const subject = [{ C: ['GB'] }, { O: ['Bankside sandbox'] }, { CN: ['localhost'] }]
  const names = [...localNames, ...otherNames.map((value) => ({ type: 'dns' as const, value }))]
  return issue(authority, { subject, keyKind, names, usages: [ExtendedKeyUsage.serverAuth] }, now)
}

export type Organisation = {
  readonly name: string
  /** `PSD<country>-<authority>-<number>`, as the register has it. */
  readonly identifier: string
  /** What the directory calls it; the common name. */
  readonly directoryId: string
  readonly roles: readonly PspRole[]
}

type TransportOrder = {
  readonly organisation: Organisation
  readonly keyKind: KeyKind
  readonly now: Date
  readonly validDays?: number
  /** Where its authority answers whether it was revoked. */
  readonly ocspResponder?: string | undefined
}

/** A third party's transport certificate in the layout of an OBWAC: it proves who connects, as client and as server. */
export function issueTransportCertificate(
  authority: Credential,
  { organisation, keyKind, now, validDays, ocspResponder }: TransportOrder,
): Promise<Credential> {
  const { name, identifier, directoryId, roles } = organisation
  if (!identifierPattern.test(identifier)) throw new Error(`not an organisation identifier: ${identifier}`)
  const subject: JsonName = [{ C: ['GB'] }, { O: [name] }, { '2.5.4.97': [identifier] }, { CN: [directoryId] }]
  const [, country, register = ''] = /^PSD([A-Z]{2})-([A-Z]{2,8})-/.exec(identifier) ?? []
  const authorityName = authorityNames[register] ?? 'An authority of the sandbox'
  const licence = qualifiedStatements({ roles, authorityName, authorityId: `${country}-${register}` })
  const access = ocspResponder === undefined ? [] : [new AuthorityInfoAccessExtension({ ocsp: ocspResponder })]
  const usages = [ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]
  return issue(
    authority,
    { subject, keyKind, names: [...localNames], usages, extensions: [licence, ...access], ...(validDays !== undefined && { validDays }) },
    now,
  )
}

const authorityNames: Readonly<Record<string, string>> = { FCA: 'Financial Conduct Authority' }
const identifierPattern = /^PSD[A-Z]{2}-[A-Z]{2,8}-.+$/

/** The subject as RFC 4514 writes it: most specific first. What a client registers as `tls_client_auth_subject_dn`. */
export function subjectDistinguishedName({ name, identifier, directoryId }: Organisation): string {
  return [`CN=${escaped(directoryId)}`, `organizationIdentifier=${escaped(identifier)}`, `O=${escaped(name)}`, 'C=GB'].join(',')
}

/** RFC 4514 section 2.4. */
function escaped(value: string): string {
  return value
    .replace(/[\\",+;<>]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
}

import { isIssuedByDirectory, type Organisation } from '@bankside/bank/licences/organisation'
import { unlicensedScopes } from '@bankside/bank/licences/psp-roles'
import type { RegisterEntry } from '@bankside/bank/licences/register-entry'
import type { TransportCertificate } from '@bankside/bank/licences/transport-certificate'
import { isTestAuthority } from './directory.ts'
import { refuseRegistration } from './registration-refusal.ts'
import type { SoftwareStatement } from './software-statement.ts'

/** Under the number that IANA keeps for examples: the certificates of the sandbox's authority say so themselves (SBX-03). */
const sandboxPolicy = '1.3.6.1.4.1.32473.1.1'

/**
 * Whether the certificate that somebody connects with is one that third parties have here: of an organisation that a register
 * knows, for connections, and not for tests where there are none (CERT-05, CERT-06).
 *
 * @throws {Refusal} `invalid_client`
 */
export function assertOfThirdParty(certificate: TransportCertificate, { test }: { readonly test: boolean }): void {
  const refuse = (message: string): never => refuseRegistration('invalid_client', message)
  if (certificate.isSeal) refuse('the certificate is for seals, not for connections')
  if (certificate.misnamed) refuse('the certificate names its organisation or its licence in no form that is known')
  const { organisation, licence } = certificate
  if (organisation === undefined && certificate.unit === undefined) refuse('the certificate names no organisation')
  if (licence !== undefined && organisation !== undefined && !isIssuedByDirectory(organisation.authorityId)) {
    if (licence.authorityId !== organisation.authorityId) refuse('the certificate names two authorities')
  }
  const authorities = [organisation?.authorityId, licence?.authorityId]
  const isForTests = certificate.policies.includes(sandboxPolicy) || authorities.some((id) => id !== undefined && isTestAuthority(id))
  if (isForTests && !test) refuse('the certificate is for tests')
}

export function organisationOf({ claims, directory }: SoftwareStatement): Organisation {
  const register = claims.organisation_competent_authority_claims
  const authorityId = register && directory.authorities[register.authority_id]
  return {
    id: claims.org_id,
    softwareId: claims.software_id,
    ...(authorityId !== undefined && { register: { authorityId, number: register?.registration_id ?? '' } }),
  }
}

/**
 * What the register said last, where it was asked before: a statement may be half an hour older (CERT-08).
 *
 * @throws {Refusal} `unapproved_software_statement`
 */
export function assertInRegister(scopes: readonly string[], entry: RegisterEntry | undefined): void {
  if (entry?.answer === undefined) return
  if (!entry.answer.active) refuseRegistration('unapproved_software_statement', 'the organisation is not active in the register')
  const beyond = entry.answer.roles === undefined ? [] : unlicensedScopes(scopes, entry.answer.roles)
  if (beyond.length > 0) refuseRegistration('unapproved_software_statement', `scope: the register has no role for ${beyond.join(' ')}`)
}

/** @throws {Refusal} `invalid_client_metadata` for what the software is not for, `unapproved_software_statement` for what its holder has no licence for. */
export function assertLicensedFor(scopes: readonly string[], { roles }: SoftwareStatement, { licence }: TransportCertificate): void {
  const beyondStatement = unlicensedScopes(scopes, roles)
  if (beyondStatement.length > 0)
    refuseRegistration('invalid_client_metadata', `scope: the software has no role for ${beyondStatement.join(' ')}`)
  const beyondLicence = licence === undefined ? [] : unlicensedScopes(scopes, licence.roles)
  if (beyondLicence.length > 0)
    refuseRegistration('unapproved_software_statement', `scope: the certificate has no role for ${beyondLicence.join(' ')}`)
}

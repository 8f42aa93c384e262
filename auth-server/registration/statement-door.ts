import { isOfOrganisation } from '@bankside/bank/licences/organisation'
import { isSubjectOf } from '../client-authentication/distinguished-name.ts'
import type { Candidate } from './admit-client.ts'
import { assertLicensedFor, organisationOf } from './belongs-together.ts'
import { chooseProfile, withDefaults } from './choose-profile.ts'
import type { PresentedCertificate } from './presented-certificate.ts'
import { type RegisteredMetadata, readMetadata } from './registered-metadata.ts'
import { refuseRegistration } from './registration-refusal.ts'
import type { SignedRequest } from './signed-request.ts'
import type { SoftwareStatement } from './software-statement.ts'

/** UKDCR-03. */
const required = [
  'redirect_uris',
  'token_endpoint_auth_method',
  'grant_types',
  'scope',
  'application_type',
  'id_token_signed_response_alg',
  'request_object_signing_alg',
] as const
/** UKDCR-05: of what the profiles know, what UK registration has a name for. */
const authenticationMethods = ['private_key_jwt', 'tls_client_auth']

/**
 * A registration request of UK dynamic client registration v3.3 as the client that it asks for: everything that the statement
 * says wins, whatever goes beyond it is refused (SSA-04, DCR-03), and certificate, statement, redirects and keys are of one
 * organisation.
 *
 * @throws {Refusal}
 */
export function candidateOfRequest(request: SignedRequest, presented: PresentedCertificate): Candidate {
  const { statement, all } = request
  if (!isOfOrganisation(presented.transport, organisationOf(statement)))
    refuseRegistration('invalid_software_statement', 'the statement is of another organisation than the certificate')
  const asked = readMetadata(inStandardTerms(all))
  assertComplete(asked)
  assertWithinStatement(asked, all, statement)
  assertCertificateSubject(asked, presented)
  const profile = chooseProfile(asked, all['fapi_profile'])
  const scopes = (asked.scope ?? '').split(' ')
  assertLicensedFor(scopes, statement, presented.transport)
  const metadata = {
    ...withDefaults(asked, profile, { bound: 'mtls' }),
    ...fromStatement(statement),
    // CIBA has no redirects, though the format of the request wants some.
    ...(profile === 'fapi_ciba' && { redirect_uris: [] }),
    organisation: organisationOf(statement),
  }
  return { profile, name: nameOf(statement, scopes), metadata, mayBeLocal: statement.directory.environment === 'test' }
}

/** UKDCR-08, UKDCR-11: two words of the UK's own, and its default. */
function inStandardTerms(all: SignedRequest['all']): Readonly<Record<string, unknown>> {
  const { application_type, backchannel_user_code_parameter_supported: userCode, ...others } = all
  const isCode = Array.isArray(others['grant_types']) && others['grant_types'].includes('authorization_code')
  return {
    ...(isCode && { response_types: ['code id_token'] }),
    ...others,
    ...(application_type !== undefined && { application_type: application_type === 'mobile' ? 'native' : application_type }),
    ...(userCode !== undefined && { backchannel_user_code_parameter: userCode }),
  }
}

function assertComplete(asked: RegisteredMetadata): void {
  const missing = required.filter((name) => asked[name] === undefined)
  if (missing.length > 0) refuseRegistration('invalid_client_metadata', `${missing.join(', ')} missing`)
  if (!authenticationMethods.includes(asked.token_endpoint_auth_method ?? ''))
    refuseRegistration('invalid_client_metadata', `token_endpoint_auth_method must be one of ${authenticationMethods.join(', ')}`)
}

function assertWithinStatement(asked: RegisteredMetadata, all: SignedRequest['all'], { claims }: SoftwareStatement): void {
  const beyond = asked.redirect_uris?.filter((uri) => !claims.software_redirect_uris.includes(uri)) ?? []
  if (beyond.length > 0) refuseRegistration('invalid_redirect_uri', 'the statement does not have all of the redirect_uris')
  const inline = ['jwks', 'jwks_uri'].filter((name) => name in all)
  if (inline.length > 0) refuseRegistration('invalid_client_metadata', `${inline.join(', ')}: the keys are those that the statement names`)
  if (asked.software_id !== undefined && asked.software_id !== claims.software_id)
    refuseRegistration('invalid_client_metadata', 'software_id is that of another statement')
}

/** UKDCR-10: named if, and only if, the client is known by it; and it is the one that it holds. */
function assertCertificateSubject(asked: RegisteredMetadata, { certificate }: PresentedCertificate): void {
  const subject = asked.tls_client_auth_subject_dn
  const isNeeded = asked.token_endpoint_auth_method === 'tls_client_auth'
  if (isNeeded !== (subject !== undefined))
    refuseRegistration('invalid_client_metadata', 'tls_client_auth_subject_dn goes with tls_client_auth, and only with it')
  if (subject !== undefined && !isSubjectOf(certificate, subject))
    refuseRegistration('invalid_client_metadata', 'tls_client_auth_subject_dn is not the subject of this certificate')
}

const fromStatement = ({ claims }: SoftwareStatement) => ({
  jwks_uri: claims.software_jwks_endpoint,
  software_id: claims.software_id,
  ...(claims.software_version !== undefined && { software_version: String(claims.software_version) }),
  ...(claims.software_client_uri !== undefined && { client_uri: claims.software_client_uri }),
  ...(claims.software_policy_uri !== undefined && { policy_uri: claims.software_policy_uri }),
  ...(claims.software_tos_uri !== undefined && { tos_uri: claims.software_tos_uri }),
})

/** The trading name (CX-01), and for whom (CX-02). */
function nameOf({ claims }: SoftwareStatement, scopes: readonly string[]): string {
  const { software_client_name: agent, software_on_behalf_of_org: client } = claims
  if (client === undefined || client === null) return agent
  return scopes.includes('payments') && !scopes.includes('accounts') ? `${client} via ${agent}` : `${agent} on behalf of ${client}`
}

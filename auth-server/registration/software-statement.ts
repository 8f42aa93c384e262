import { type PspRole, roleOfSoftware } from '@bankside/bank/licences/psp-roles'
import { isShownText } from '@bankside/bank/shown-text'
import { decodeJwt, type JWK } from 'jose'
import { z } from 'zod'
import type { KeySets } from '../client-keys/key-sets.ts'
import { type Directory, keysOfDirectory, publishesKeysAt } from './directory.ts'
import { refuseRegistration } from './registration-refusal.ts'
import { JwsProblem, type KeyLookup, verifyJws } from './verify-jws.ts'

/** What a directory says of a software and the organisation behind it, verified, and current when it was. */
export type SoftwareStatement = {
  readonly directory: Directory
  readonly claims: StatementClaims
  /** What the organisation may do here: what the software is for, as far as the register has it licensed. */
  readonly roles: ReadonlySet<PspRole>
}
export type StatementClaims = z.infer<typeof statementClaims>

const shown = (length: number) => z.string().max(length).refine(isShownText, 'is no text to show')
const httpsText = z
  .string()
  .max(2_048)
  .refine((text) => URL.parse(text)?.protocol === 'https:', 'must be an https URL')
const role = z.string().max(40)

const statementClaims = z.object({
  iss: z.string(),
  iat: z.number(),
  jti: z.string().min(1).max(64),
  software_id: z.string().regex(/^[0-9a-zA-Z]{1,22}$/),
  software_client_id: z.string().max(36).optional(),
  software_client_name: shown(40),
  software_client_description: z.string().max(256).optional(),
  software_client_uri: httpsText.optional(),
  software_policy_uri: httpsText.optional(),
  software_tos_uri: httpsText.optional(),
  software_version: z.union([z.string().max(40), z.number()]).optional(),
  software_environment: z.string().max(40).optional(),
  software_mode: z.enum(['Live', 'Test']).default('Live'),
  software_redirect_uris: z.array(z.string().max(256)).max(50),
  software_roles: z.array(role).min(1).max(10),
  software_jwks_endpoint: httpsText,
  software_jwks_revoked_endpoint: httpsText.optional(),
  software_on_behalf_of_org: shown(40).nullish(),
  organisation_competent_authority_claims: z
    .object({
      authority_id: z.string().max(40),
      registration_id: z.string().min(1).max(64),
      status: z.string().max(40),
      authorisations: z.array(z.object({ member_state: z.string().max(4), roles: z.array(role).max(10) })).max(40),
    })
    .optional(),
  org_id: z.string().min(1).max(35),
  org_name: shown(140),
  org_status: z.string().max(40),
})

const clockSkewSeconds = 15

export type StatementTrust = { readonly directories: readonly Directory[]; readonly keySets: KeySets; readonly now: Date }

/**
 * Verifies a software statement: signed by a directory that is on the list (SSA-01), fresh (SSA-02), of an organisation and a
 * software that are active and licensed (SSA-03). It does NOT compare it with a certificate or a request.
 *
 * @throws {Refusal} `invalid_software_statement`, `unapproved_software_statement`.
 * @see RFC 7591 section 2.3
 */
export async function verifySoftwareStatement(
  statement: unknown,
  { directories, keySets, now }: StatementTrust,
): Promise<SoftwareStatement> {
  if (typeof statement !== 'string') refuseRegistration('invalid_software_statement', 'software_statement is missing')
  const directory = directories.find(({ issuer }) => issuer === issuerOf(statement))
  if (directory === undefined) refuseRegistration('invalid_software_statement', 'the statement is of no directory that is trusted here')
  const { claims: unchecked } = await verifyJws(statement, keysOf(directory, keySets)).catch((error: unknown) => {
    if (error instanceof JwsProblem)
      refuseRegistration('invalid_software_statement', `software_statement: ${error.message}`, { cause: error })
    throw error
  })
  const parsed = statementClaims.safeParse(unchecked)
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ')
    refuseRegistration('invalid_software_statement', `software_statement: ${wrong}`)
  }
  assertFresh(parsed.data, directory, now)
  assertApproved(parsed.data, directory)
  return { directory, claims: parsed.data, roles: rolesOf(parsed.data, directory) }
}

function issuerOf(statement: string): unknown {
  try {
    return decodeJwt(statement).iss
  } catch {
    return undefined
  }
}

function keysOf(directory: Directory, keySets: KeySets): KeyLookup {
  const own = keysOfDirectory(directory)
  if (own !== undefined) return { current: async () => own, again: async () => own }
  return lookupAt(keySets, directory.jwks_uri ?? '')
}

/** Keys that are published at an address, asked for again when one is not among them. */
export function lookupAt(keySets: KeySets, uri: string): KeyLookup {
  const current = async (): Promise<readonly JWK[]> => {
    const set = await keySets.current(uri).catch((cause: unknown) => {
      throw new JwsProblem(`the keys at ${new URL(uri).host} cannot be got`, { cause })
    })
    return set.keys
  }
  return {
    current,
    again: async () => {
      await keySets.askAgain(uri)
      return current()
    },
  }
}

function assertFresh({ iat }: StatementClaims, { statement_max_age_seconds: maxAge }: Directory, now: Date): void {
  const age = now.getTime() / 1000 - iat
  if (age < -clockSkewSeconds) refuseRegistration('invalid_software_statement', 'software_statement: iat lies in the future')
  if (age > maxAge) refuseRegistration('invalid_software_statement', `software_statement: it is older than ${maxAge} s`)
}

function assertApproved(claims: StatementClaims, directory: Directory): void {
  const { org_status, software_mode, organisation_competent_authority_claims: register } = claims
  if (org_status !== 'Active') refuseRegistration('unapproved_software_statement', 'the organisation is not active')
  if (register !== undefined && register.status !== 'Active')
    refuseRegistration('unapproved_software_statement', 'the authorisation of the organisation is not active')
  if (directory.environment === 'live' && (software_mode !== 'Live' || /sandbox|test/i.test(claims.software_environment ?? '')))
    refuseRegistration('unapproved_software_statement', 'the software is for tests')
  for (const uri of [claims.software_jwks_endpoint, claims.software_jwks_revoked_endpoint])
    if (uri !== undefined && !publishesKeysAt(directory, uri))
      refuseRegistration('unapproved_software_statement', 'the keys are not published where this directory publishes keys')
}

function rolesOf(claims: StatementClaims, { member_state }: Directory): ReadonlySet<PspRole> {
  const register = claims.organisation_competent_authority_claims
  const licensed = register?.authorisations.filter((each) => each.member_state === member_state).flatMap(({ roles }) => roles)
  const roles = claims.software_roles.filter((each) => licensed === undefined || licensed.includes(each))
  return new Set(roles.flatMap((each) => roleOfSoftware(each) ?? []))
}

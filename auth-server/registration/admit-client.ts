import type { ClientProfile } from '@bankside/bank/clients/client'
import { isShownText } from '@bankside/bank/shown-text'
import { Refusal } from '@bankside/service-kit/refusal'
import { errors, type Provider } from 'oidc-provider'
import type { KeySets } from '../client-keys/key-sets.ts'
import { assertClientPolicy, type ClientMetadata } from '../client-policy.ts'
import { clientPayload } from '../storage/client-storage.ts'
import { scopesOfThirdParties } from '../tokens/scopes.ts'
import type { RegisteredMetadata } from './registered-metadata.ts'
import { refuseRegistration } from './registration-refusal.ts'

/** A client as it is about to be registered, by whichever door it came. */
export type Candidate = {
  readonly profile: ClientProfile
  readonly name: string
  readonly metadata: RegisteredMetadata & ClientMetadata
  /** Whether its redirect URIs may be on the machine of the customer: third parties of a test directory only. */
  readonly mayBeLocal: boolean
}

export type AdmissionDependencies = { readonly provider: Provider; readonly keySets: KeySets }

/**
 * The one place where it is decided whether a registration becomes a client: both doors lead here. The policy of its profile,
 * then what the library can serve, then that its keys can be had.
 *
 * @throws {Refusal} `invalid_redirect_uri`, `invalid_client_metadata`.
 */
export async function admitClient(candidate: Candidate, { provider, keySets }: AdmissionDependencies): Promise<void> {
  const { profile, name, metadata } = candidate
  if (!isShownText(name)) refuseRegistration('invalid_client_metadata', 'client_name is needed, as text to show')
  const unknown = (metadata.scope ?? '').split(' ').find((scope) => !scopesOfThirdParties.includes(scope))
  if (unknown !== undefined)
    refuseRegistration('invalid_client_metadata', `scope: ${whyNot[unknown] ?? 'there is one that is not for third parties'}`)
  assertNotLocal(candidate)
  assertPolicy(metadata, profile)
  await assertServable(candidate, provider)
  if (metadata.jwks_uri !== undefined) await assertPublished(metadata.jwks_uri, keySets)
}

/** Who is licensed for what nobody is served here is told so: it could not know. */
const whyNot: Readonly<Record<string, string>> = {
  fundsconfirmations: 'fundsconfirmations opens nothing, confirmations of funds for card-based issuers (CBPII) are not served here',
}

/** UKDCR-04. */
function assertNotLocal({ metadata, mayBeLocal }: Candidate): void {
  if (mayBeLocal) return
  const local = metadata.redirect_uris?.some((uri) =>
    /^(localhost|.*\.localhost|127\.[0-9.]+|0\.0\.0\.0|\[.*\])$/.test(URL.parse(uri)?.hostname.replace(/\.$/, '') ?? ''),
  )
  if (local === true) refuseRegistration('invalid_redirect_uri', 'redirect URIs are not on localhost')
}

const codes = { redirect_uri_invalid: 'invalid_redirect_uri', client_metadata_invalid: 'invalid_client_metadata' } as const

function assertPolicy(metadata: ClientMetadata, profile: ClientProfile): void {
  try {
    assertClientPolicy(metadata, profile)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    refuseRegistration(codes[error.code as keyof typeof codes], `${error.message} (profile ${profile})`)
  }
}

/** What the library would not serve is better refused now than with every request. */
async function assertServable({ profile, name, metadata }: Candidate, { Client }: Provider): Promise<void> {
  const payload = clientPayload({ client_id: 'candidate', profile, name, first_party: false }, metadata, profile)
  try {
    await (Client as unknown as { validate(payload: unknown): Promise<void> }).validate(payload)
  } catch (error) {
    if (error instanceof errors.InvalidClientMetadata)
      refuseRegistration('invalid_client_metadata', error.error_description ?? 'the metadata cannot be served')
    throw error
  }
}

async function assertPublished(uri: string, keySets: KeySets): Promise<void> {
  const set = await keySets.current(uri).catch((cause: unknown) => {
    refuseRegistration('invalid_client_metadata', 'jwks_uri: the keys cannot be got', { cause })
  })
  if (set.keys.length === 0) refuseRegistration('invalid_client_metadata', 'jwks_uri: there is no key that could be used')
}

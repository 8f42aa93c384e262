import { createHash, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { assertClientPolicy } from '@bankside/auth-server/client-policy'
import { profiles } from '@bankside/auth-server/client-policy/profiles'
import type { Registration } from '@bankside/bank/clients/register-client'
import { certificateKey, isIssuedBy, parseCertificate, subjectText } from '@bankside/certs/brought-certificate'
import { subjectDistinguishedName } from '@bankside/certs/sandbox-credentials'
import type { ClientToEquip, Equipped, SandboxFiles } from '@bankside/certs/sandbox-files'
import { type PrivateKeySet, publicKeys } from '@bankside/certs/signing-keys'
import { systemClock } from '@bankside/service-kit/clock'
import { Refusal } from '@bankside/service-kit/refusal'
import type { JWK } from 'jose'
import { clientMetadata } from './client-metadata.ts'
import { bankScopes, type DemoClient, demoClients, openBankingScopes } from './demo-clients.ts'
import type { GivenClient, GivenClients } from './given-clients.ts'
import { Problem } from './problem.ts'
import type { SandboxClient } from './sandbox-file.ts'

/** What is entered into the database for a client, and what `sandbox.json` says of it. */
export type SandboxRegistration = { readonly registration: Omit<Registration, 'now'>; readonly described: SandboxClient }

type Making = {
  readonly files: SandboxFiles
  readonly redirectUri: string
  readonly audience: string
  readonly given: GivenClients
  readonly givenPath: string | undefined
}

/**
 * The sandbox's own clients, and those of the file.
 *
 * @throws {Problem} naming everything that is wrong with the file.
 */
export async function clientRegistrations({
  files,
  redirectUri,
  audience,
  given,
  givenPath,
}: Making): Promise<readonly SandboxRegistration[]> {
  const made = await Promise.all(given.clients.map((client) => ofGivenClient(client, files, audience)))
  const problems = [...given.problems, ...made.flatMap(({ problems: own, registered }) => [...own, ...policyProblems(registered)])]
  if (problems.length > 0)
    throw new Problem(`The clients of ${givenPath} (BANKSIDE_SANDBOX_CLIENTS) cannot be registered:\n- ${problems.join('\n- ')}`)
  return [
    ...demoClients.map((client) => ofDemoClient(client, files, { redirectUri, audience })),
    ...made.flatMap(({ registered }) => registered),
  ]
}

function ofDemoClient(
  client: DemoClient,
  files: SandboxFiles,
  { redirectUri, audience }: Pick<Making, 'redirectUri' | 'audience'>,
): SandboxRegistration {
  const own = equippedOf(files, client.clientId)
  const { clientId, profile, name, firstParty } = client
  const metadata = clientMetadata({
    ...client,
    metadata: { ...deliveryOf(client, redirectUri), ...client.metadata },
    redirectUris: profiles[client.profile].responseTypes.length > 0 ? [redirectUri] : [],
    keys: keysOf(own.jwksFile),
    subject: subjectDistinguishedName(client.organisation),
    audience,
  })
  const described = {
    client_id: clientId,
    profile,
    token_endpoint_auth_method: client.authentication,
    sender_constraint: client.senderConstraint,
    redirect_uris: (metadata['redirect_uris'] as string[] | undefined) ?? [],
    jwks_file: own.jwksFile,
    cert_file: own.certFile,
    key_file: own.keyFile,
    scopes: client.scopes,
    first_party: firstParty,
    ...backchannelOf(metadata),
  }
  return { registration: { clientId, profile, name, firstParty, metadata }, described }
}

function deliveryOf({ delivery, signingAlgorithm }: DemoClient, redirectUri: string): Record<string, unknown> {
  if (delivery === undefined) return {}
  return {
    backchannel_token_delivery_mode: delivery,
    backchannel_authentication_request_signing_alg: signingAlgorithm,
    ...(delivery === 'ping' && { backchannel_client_notification_endpoint: new URL('/ciba-notification', redirectUri).href }),
  }
}

function backchannelOf(metadata: Readonly<Record<string, unknown>>): Pick<SandboxClient, BackchannelMember> {
  const members = ['backchannel_token_delivery_mode', 'backchannel_client_notification_endpoint'] as const
  return Object.fromEntries(members.flatMap((name) => (metadata[name] === undefined ? [] : [[name, metadata[name]]])))
}

type BackchannelMember = 'backchannel_token_delivery_mode' | 'backchannel_client_notification_endpoint'

/** The clients of the file for which the sandbox makes keys, a certificate, or both. */
export const equipmentOf = ({ clients }: GivenClients): readonly ClientToEquip[] =>
  clients.filter(lacksSomething).map(({ clientId, name, scopes }) => {
    const number = createHash('sha256').update(clientId).digest().readUInt32BE(0)
    const roles = scopes.includes('payments') ? (['PSP_AI', 'PSP_PI'] as const) : (['PSP_AI'] as const)
    const organisation = { name, identifier: `PSDGB-FCA-${number}`, directoryId: `00158000${number}`, roles }
    return { clientId, organisation, keyKind: 'rsa', signingAlgorithm: 'PS256' }
  })

const lacksSomething = ({ jwks, jwksFile, certFile }: GivenClient): boolean => (jwks ?? jwksFile) === undefined || certFile === undefined

type Made = { readonly problems: readonly string[]; readonly registered: readonly SandboxRegistration[] }

async function ofGivenClient(client: GivenClient, files: SandboxFiles, audience: string): Promise<Made> {
  const { certFile, keyFile, jwksFile } = filesOf(client, files)
  const certificate = parseCertificate(readFileSync(certFile, 'utf8'))
  if (certificate === undefined)
    return { problems: [`${client.clientId}: cert_file: ${certFile} is no certificate in PEM`], registered: [] }
  const keys = jwksFile === null ? publicKeys(client.jwks as PrivateKeySet).keys : keysOf(jwksFile)
  const { clientId, profile, name, firstParty } = client
  const selfSigned = client.authentication === 'self_signed_tls_client_auth'
  const metadata = clientMetadata({
    ...client,
    signingAlgorithm: 'PS256',
    keys: selfSigned ? [...keys, await certificateKey(certificate)] : keys,
    subject: subjectText(certificate),
    audience,
  })
  const described = {
    client_id: clientId,
    profile,
    token_endpoint_auth_method: client.authentication,
    sender_constraint: client.senderConstraint,
    redirect_uris: client.redirectUris,
    jwks_file: jwksFile,
    cert_file: certFile,
    key_file: keyFile,
    scopes: client.scopes,
    first_party: firstParty,
    ...backchannelOf(metadata),
  }
  const registered = [{ registration: { clientId, profile, name, firstParty, metadata }, described }]
  return { problems: [...certificateProblems(client, certificate, files), ...scopeProblems(client)], registered }
}

/** What the client brought, and what the sandbox made of the rest. Keys by value are in no file. */
function filesOf(client: GivenClient, files: SandboxFiles): { certFile: string; keyFile: string | null; jwksFile: string | null } {
  const made = lacksSomething(client) ? equippedOf(files, client.clientId) : undefined
  const certificate = client.certFile === undefined ? made : { certFile: client.certFile, keyFile: client.keyFile ?? null }
  const jwksFile = client.jwks === undefined ? (client.jwksFile ?? made?.jwksFile) : null
  if (certificate === undefined || jwksFile === undefined) throw new Error(`nothing was made for ${client.clientId}`)
  return { certFile: certificate.certFile, keyFile: certificate.keyFile, jwksFile }
}

/** A certificate counts only where tokens are bound to it or where it authenticates; a self-signed one is known by itself. */
function certificateProblems(client: GivenClient, certificate: X509Certificate, { caFile }: SandboxFiles): readonly string[] {
  const counts = client.senderConstraint === 'mtls' || client.authentication === 'tls_client_auth'
  if (!counts || client.authentication === 'self_signed_tls_client_auth') return []
  if (isIssuedBy(certificate, readFileSync(caFile, 'utf8'), systemClock.now())) return []
  return [`${client.clientId}: cert_file is not of ${caFile}, or not within its dates: leave it out, and the sandbox makes one`]
}

function scopeProblems({ clientId, scopes: asked, firstParty }: GivenClient): readonly string[] {
  const known: readonly string[] = firstParty ? bankScopes : openBankingScopes
  const unknown = asked.filter((scope) => !known.includes(scope))
  return unknown.length === 0 ? [] : [`${clientId}: scopes may be ${known.join(', ')}; not ${unknown.join(', ')}`]
}

function policyProblems(registered: readonly SandboxRegistration[]): readonly string[] {
  return registered.flatMap(({ registration: { clientId, metadata, profile } }) => {
    try {
      assertClientPolicy(metadata, profile)
      return []
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return error.message.split('; ').map((problem) => `${clientId}: ${problem}`)
    }
  })
}

const keysOf = (jwksFile: string): readonly JWK[] => publicKeys(JSON.parse(readFileSync(jwksFile, 'utf8')) as PrivateKeySet).keys

function equippedOf({ clients }: SandboxFiles, clientId: string): Equipped {
  const equipped = clients.get(clientId)
  if (equipped === undefined) throw new Error(`nothing was made for ${clientId}`)
  return equipped
}

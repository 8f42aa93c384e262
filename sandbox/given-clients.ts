import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type ClientProfile, clientProfiles } from '@bankside/bank/clients/client'
import { parseCertificate } from '@bankside/certs/brought-certificate'
import { z } from 'zod'
import { demoClients } from './demo-clients.ts'

/**
 * The file of `BANKSIDE_SANDBOX_CLIENTS`: clients in the shape that they have in `sandbox.json`. Keys and certificate may be
 * left out: then the sandbox makes them, as it does for its own clients.
 */
export type GivenClient = {
  readonly clientId: string
  readonly profile: ClientProfile
  readonly name: string
  readonly firstParty: boolean
  readonly authentication: 'private_key_jwt' | 'tls_client_auth' | 'self_signed_tls_client_auth'
  readonly senderConstraint: 'dpop' | 'mtls'
  readonly redirectUris: readonly string[]
  readonly scopes: readonly string[]
  /** By value, or the path of a file. Private members may be in there: what is registered is the public part. */
  readonly jwks: { readonly keys: readonly Record<string, unknown>[] } | undefined
  readonly jwksFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  /** RFC 7591: added to what profile, authentication and constraint say, and stronger. */
  readonly metadata: Readonly<Record<string, unknown>>
}

export type GivenClients = { readonly clients: readonly GivenClient[]; readonly problems: readonly string[] }

const clientsAtMost = 1_000
const textLengthAtMost = 2_048

const text = z.string().min(1).max(textLengthAtMost)
const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1) })

const clientSchema = z.strictObject({
  client_id: z.string().regex(/^[A-Za-z0-9._-]{4,64}$/, 'must be 4 to 64 letters, digits, dots, underscores or hyphens'),
  client_name: z.string().min(1).max(100).optional(),
  profile: z.enum(clientProfiles),
  token_endpoint_auth_method: z.enum(['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']),
  sender_constraint: z.enum(['dpop', 'mtls']),
  redirect_uris: z.array(text),
  scopes: z.array(text).min(1),
  first_party: z.boolean().default(false),
  jwks: keySet.optional(),
  jwks_file: text.optional(),
  cert_file: text.optional(),
  key_file: text.optional(),
  metadata: z.record(z.string(), z.unknown()).default({}),
})
const fileSchema = z.object({ clients: z.array(z.unknown()).max(clientsAtMost) })

/** What can be used of the file, and everything that is wrong with it. Relative paths begin at the file's folder. */
export function readGivenClients(path: string | undefined): GivenClients {
  if (path === undefined) return { clients: [], problems: [] }
  const content = readJson(path)
  if ('problem' in content) return { clients: [], problems: [content.problem] }
  const file = fileSchema.safeParse(content.json)
  if (!file.success) return { clients: [], problems: file.error.issues.map(described) }
  const read = file.data.clients.map((entry, index) => readClient(entry, `clients[${index}]`, dirname(path)))
  const clients = read.flatMap(({ client }) => client ?? [])
  return { clients, problems: [...read.flatMap(({ problems }) => problems), ...repeated(clients)] }
}

function readClient(entry: unknown, place: string, folder: string): { client?: GivenClient; problems: readonly string[] } {
  const parsed = clientSchema.safeParse(entry)
  if (!parsed.success) return { problems: parsed.error.issues.map((issue) => `${place}: ${described(issue)}`) }
  const { jwks, jwks_file, cert_file, key_file, ...rest } = parsed.data
  const at = (file: string | undefined) => (file === undefined ? undefined : resolve(folder, file))
  const problems = [
    ...(jwks !== undefined && jwks_file !== undefined ? ['jwks and jwks_file exclude each other'] : []),
    ...(key_file !== undefined && cert_file === undefined ? ['key_file without cert_file'] : []),
    ...(jwks_file === undefined ? [] : keySetProblems(resolve(folder, jwks_file))),
    ...(cert_file === undefined ? [] : certificateProblems(resolve(folder, cert_file))),
  ]
  if (problems.length > 0) return { problems: problems.map((problem) => `${rest.client_id}: ${problem}`) }
  const client: GivenClient = {
    clientId: rest.client_id,
    profile: rest.profile,
    name: rest.client_name ?? rest.client_id,
    firstParty: rest.first_party,
    authentication: rest.token_endpoint_auth_method,
    senderConstraint: rest.sender_constraint,
    redirectUris: rest.redirect_uris,
    scopes: rest.scopes,
    jwks,
    jwksFile: at(jwks_file),
    certFile: at(cert_file),
    keyFile: at(key_file),
    metadata: rest.metadata,
  }
  return { client, problems: [] }
}

function keySetProblems(path: string): readonly string[] {
  const content = readJson(path)
  if ('problem' in content) return [`jwks_file: ${content.problem}`]
  return keySet.safeParse(content.json).success ? [] : [`jwks_file: ${path} holds no keys`]
}

function certificateProblems(path: string): readonly string[] {
  const content = readText(path)
  if ('problem' in content) return [`cert_file: ${content.problem}`]
  return parseCertificate(content.text) === undefined ? [`cert_file: ${path} is no certificate in PEM`] : []
}

function readJson(path: string): { json: unknown } | { problem: string } {
  const content = readText(path)
  if ('problem' in content) return content
  try {
    return { json: JSON.parse(content.text) as unknown }
  } catch (error) {
    return { problem: `${path} is not JSON: ${(error as Error).message}` }
  }
}

function readText(path: string): { text: string } | { problem: string } {
  try {
    return { text: readFileSync(path, 'utf8') }
  } catch (error) {
    return { problem: `${path} cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
}

/** Within the file, or taken by a client that every sandbox has. */
function repeated(clients: readonly GivenClient[]): readonly string[] {
  const taken = new Set(demoClients.map(({ clientId }) => clientId))
  return clients.flatMap(({ clientId }) => {
    if (taken.has(clientId)) return [`${clientId}: there is a client of this id already`]
    taken.add(clientId)
    return []
  })
}

const described = ({ path, message }: { path: readonly PropertyKey[]; message: string }): string =>
  path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`

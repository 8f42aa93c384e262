import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Credential, createAuthority, type KeyKind } from './authority.ts'
import { issueServerCertificate, issueTransportCertificate, type Organisation } from './sandbox-credentials.ts'
import { createSigningKeys, type PrivateKeySet, type SigningAlgorithm, signingAlgorithms } from './signing-keys.ts'

export type Equipped = { readonly certFile: string; readonly keyFile: string; readonly jwksFile: string }
export type CredentialFiles = { readonly certFile: string; readonly keyFile: string }
export type SandboxFiles = {
  readonly caFile: string
  readonly caKeyFile: string
  readonly serverRsa: CredentialFiles
  readonly serverEc: CredentialFiles
  readonly signingKeysFile: string
  readonly clients: ReadonlyMap<string, Equipped>
}

export type ClientToEquip = {
  readonly clientId: string
  readonly organisation: Organisation
  /** Of the transport certificate. */
  readonly keyKind: KeyKind
  /** Of the first key of its set. */
  readonly signingAlgorithm: SigningAlgorithm
}

export type FilesToEnsure = {
  readonly folder: string
  readonly clients: readonly ClientToEquip[]
  readonly now: Date
  /** Of our listeners, besides localhost. A certificate that is there keeps the names it has. */
  readonly otherNames?: readonly string[]
}

/**
 * Makes what is missing in a folder, and makes again what expires soon or belongs to another authority. Keys of clients
 * and of the authorization server are kept: what was signed with them stays good.
 */
export async function ensureSandboxFiles({ folder, clients, now, otherNames = [] }: FilesToEnsure): Promise<SandboxFiles> {
  const own = { certFile: join(folder, 'ca.pem'), keyFile: join(folder, 'ca-key.pem') }
  const authority = readCurrent(own, undefined, now) ?? write(own, await createAuthority({ commonName: 'Bankside sandbox authority', now }))
  const ensure = async (files: CredentialFiles, make: () => Promise<Credential>) => {
    if (readCurrent(files, authority, now) === undefined) write(files, await make())
    return files
  }
  const server = (keyKind: KeyKind) =>
    ensure(inFolder(folder, `server-${keyKind}`), () => issueServerCertificate(authority, { keyKind, now, otherNames }))
  const equip = async ({ clientId, organisation, keyKind, signingAlgorithm }: ClientToEquip): Promise<[string, Equipped]> => {
    const client = join(folder, 'clients', clientId)
    const files = await ensure(inFolder(client, 'transport'), () => issueTransportCertificate(authority, { organisation, keyKind, now }))
    return [clientId, { ...files, jwksFile: await ensureKeys(join(client, 'jwks.json'), algorithmsOf(signingAlgorithm)) }]
  }
  const [serverRsa, serverEc, signingKeysFile, ...equipped] = await Promise.all([
    ...([server('rsa'), server('ec'), ensureKeys(join(folder, 'signing-keys.json'), signingAlgorithms)] as const),
    ...clients.map(equip),
  ])
  return { caFile: own.certFile, caKeyFile: own.keyFile, serverRsa, serverEc, signingKeysFile, clients: new Map(equipped) }
}

const renewBeforeExpiryMs = 30 * 86_400_000

function readCurrent(files: CredentialFiles, authority: Credential | undefined, now: Date): Credential | undefined {
  if (!existsSync(files.certFile) || !existsSync(files.keyFile)) return undefined
  const credential = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') }
  return isGood(credential, authority ?? credential, now) ? credential : undefined
}

function isGood({ cert, key }: Credential, authority: Credential, now: Date): boolean {
  try {
    const [certificate, issuer] = [new X509Certificate(cert), new X509Certificate(authority.cert)]
    const lasts = certificate.validFromDate <= now && certificate.validToDate.getTime() - now.getTime() > renewBeforeExpiryMs
    return (
      lasts && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey) && certificate.checkPrivateKey(createPrivateKey(key))
    )
  } catch {
    // A file that was cut short or edited is made again.
    return false
  }
}

/** Either of the two that every profile knows will do; Ed25519 is for clients that prefer it. */
const algorithmsOf = (preferred: SigningAlgorithm): readonly SigningAlgorithm[] => [
  ...new Set<SigningAlgorithm>([preferred, 'ES256', 'PS256']),
]

/** Keys that are there stay, and what a later version signs with besides is added. */
async function ensureKeys(path: string, algorithms: readonly SigningAlgorithm[]): Promise<string> {
  const { keys } = readKeySet(path)
  const missing = algorithms.filter((algorithm) => !keys.some(({ alg }) => alg === algorithm))
  if (missing.length === 0) return path
  const set = { keys: [...keys, ...(await createSigningKeys(missing)).keys] }
  writePrivate(path, `${JSON.stringify(set, undefined, 2)}\n`)
  return path
}

function readKeySet(path: string): PrivateKeySet {
  try {
    const set = JSON.parse(readFileSync(path, 'utf8')) as Partial<PrivateKeySet>
    return Array.isArray(set.keys) ? { keys: set.keys } : { keys: [] }
  } catch {
    return { keys: [] }
  }
}

function inFolder(folder: string, name: string): CredentialFiles {
  return { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}-key.pem`) }
}

function write(files: CredentialFiles, credential: Credential): Credential {
  writePrivate(files.keyFile, credential.key)
  writePrivate(files.certFile, credential.cert)
  return credential
}

/** Whole or not at all, and readable by its owner only from its first byte. */
function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.new`
  writeFileSync(draft, text, { mode: 0o600 })
  chmodSync(draft, 0o600)
  renameSync(draft, path)
}

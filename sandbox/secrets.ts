import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createSigningKey } from '@bankside/certs/signing-keys'
import { writePrivateFile } from './private-file.ts'

export const newSecret = () => randomBytes(32).toString('base64url')

/** Secrets that are replaced from time to time (`npm run rotate-keys`). */
export const rotatingSecrets = ['cookie_keys', 'form_keys', 'seal_keys', 'dpop_nonce_secrets'] as const
/** What stays for ever: subjects of third parties follow from the one, with the other customers' data are sealed. */
const lastingSecrets = ['pairwise_salt', 'customer_data_key'] as const

/** Names of an earlier version, which had one of each. */
const renamed: Readonly<Record<string, string>> = { form_key: 'form_keys', dpop_nonce_secret: 'dpop_nonce_secrets' }

/** What third parties are called with is sealed with it: for the authorization server and the worker alone. Made where it is missing. */
export function ensureNotificationKey(path: string): void {
  if (!existsSync(path)) writeFileSync(path, newSecret(), { mode: 0o600 })
}

/** What signs the checkpoints of the audit tree, for whoever seals alone; its origin is what the log is called ever after. Made where it is missing. */
export async function ensureAuditKeys(path: string, origin: string): Promise<void> {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writePrivateFile(path, { origin, keys: [await createSigningKey('EdDSA')] })
}

/** What the authorization server keeps to itself: made where it is missing, and kept. @returns the key that seals customers' data. */
export function ensureSecrets(path: string): Buffer {
  const there = existsSync(path) ? asLists(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>) : {}
  const lists = rotatingSecrets.map((name) => [name, there[name] ?? [newSecret()]] as const)
  const single = lastingSecrets.map((name) => [name, there[name] ?? newSecret()] as const)
  const all = Object.fromEntries([...lists, ...single])
  if (JSON.stringify(all) !== JSON.stringify(there)) writePrivateFile(path, all)
  return Buffer.from(String(all['customer_data_key']), 'base64url')
}

const asLists = (secrets: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(secrets).map(([name, value]) => (renamed[name] === undefined ? [name, value] : [renamed[name], [value]])),
  )

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { keySettings } from '@bankside/auth-server/keys/key-material'
import { parseAuditKeys, publicAuditKeys } from '@bankside/bank/audit/audit-keys'
import type { DataKeys } from '@bankside/bank/customers/totp'
import { createSigningKey } from '@bankside/certs/signing-keys'
import { systemClock } from '@bankside/service-kit/clock'
import { keysInOrder } from '@bankside/service-kit/timed-keys'
import { writePrivateFile } from './private-file.ts'
import { Problem } from './problem.ts'

export const newSecret = () => randomBytes(32).toString('base64url')

/** Secrets that are replaced from time to time (`npm run rotate-keys`). */
export const rotatingSecrets = ['cookie_keys', 'form_keys', 'seal_keys', 'dpop_nonce_secrets', 'customer_data_keys'] as const
/** What stays for ever: subjects of third parties follow from it. */
const lastingSecrets = ['pairwise_salt'] as const

/** Names of an earlier version, which had one of each. */
const renamed: Readonly<Record<string, string>> = {
  form_key: 'form_keys',
  dpop_nonce_secret: 'dpop_nonce_secrets',
  customer_data_key: 'customer_data_keys',
}

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

/** What everybody may have of them, in a file of its own for whoever publishes it. */
export function writePublicAuditKeys(path: string, publicPath: string): void {
  mkdirSync(dirname(publicPath), { recursive: true, mode: 0o700 })
  writePrivateFile(publicPath, publicAuditKeys(parseAuditKeys(readFileSync(path, 'utf8'))))
}

/** What the authorization server keeps to itself: made where it is missing, and kept. @returns the keys of customers' data: the one that seals first. */
export function ensureSecrets(path: string, now = systemClock.now()): DataKeys {
  const there = existsSync(path) ? asLists(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>) : {}
  const lists = rotatingSecrets.map((name) => [name, there[name] ?? [newSecret()]] as const)
  const single = lastingSecrets.map((name) => [name, there[name] ?? newSecret()] as const)
  const all = Object.fromEntries([...lists, ...single])
  if (JSON.stringify(all) !== JSON.stringify(there)) writePrivateFile(path, all)
  const { customer_data_keys } = keySettings.SECRETS.parse(JSON.stringify(all))
  const [newest, ...older] = keysInOrder(
    customer_data_keys.map(({ key, nbf }) => ({ key, nbf })),
    now.getTime() / 1000,
  ).map(({ key }) => key)
  if (newest === undefined) throw new Problem(`${path} has no key for customers' data.`)
  return [newest, ...older]
}

const asLists = (secrets: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(secrets).map(([name, value]) => (renamed[name] === undefined ? [name, value] : [renamed[name], [value]])),
  )

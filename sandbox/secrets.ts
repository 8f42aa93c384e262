import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { writePrivateFile } from './private-file.ts'

const secret = () => randomBytes(32).toString('base64url')

/** What the authorization server keeps to itself, made once. @returns the key that seals customers' data. */
export function ensureSecrets(path: string): Buffer {
  if (!existsSync(path)) {
    writePrivateFile(path, {
      cookie_keys: [secret(), secret()],
      pairwise_salt: secret(),
      form_key: secret(),
      dpop_nonce_secret: secret(),
      customer_data_key: secret(),
    })
  }
  const { customer_data_key: key } = JSON.parse(readFileSync(path, 'utf8')) as { customer_data_key: string }
  return Buffer.from(key, 'base64url')
}

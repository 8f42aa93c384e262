import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { CustomerId } from '@bankside/bank/ids'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'

const prefix = 'psu:'
const customerPrefix = 'cus_'
const blockBytes = 16

/**
 * A customer's name towards one third party (OIDC-08): two of them cannot find out that they have the same customer. By
 * client, not by sector: two brands of one company are two clients here. The colon keeps it apart from every client id (FAPI2-AS-15).
 *
 * The 128 random bits of the customer id are one block of AES under a key of the client's own, so that we, and nobody else,
 * can tell whom a third party means by it.
 */
export function pairwiseSubject(salt: string, customerId: string, clientId: string): string {
  const name = `${customerId} ${clientId} ${salt}`
  const known = subjects.get(name) ?? subjectOf(salt, customerId, clientId)
  subjects.set(name, known)
  return known
}

const subjects = leastRecentlyUsed<string, string>(10_000)

function subjectOf(salt: string, customerId: string, clientId: string): string {
  const cipher = createCipheriv('aes-256-ecb', keyOf(salt, clientId), null).setAutoPadding(false)
  const block = Buffer.from(customerId.slice(customerPrefix.length), 'hex')
  return prefix + Buffer.concat([cipher.update(block), cipher.final()]).toString('base64url')
}

/** Whom this client knows by that name. Whether there is such a customer is not checked: any text of the right length names somebody. */
export function customerOfSubject(salt: string, subject: string, clientId: string): CustomerId | undefined {
  const block = Buffer.from(subject.slice(prefix.length), 'base64url')
  if (block.length !== blockBytes || subject !== prefix + block.toString('base64url')) return undefined
  const decipher = createDecipheriv('aes-256-ecb', keyOf(salt, clientId), null).setAutoPadding(false)
  return `${customerPrefix}${Buffer.concat([decipher.update(block), decipher.final()]).toString('hex')}` as CustomerId
}

function keyOf(salt: string, clientId: string): KeyObject {
  const name = JSON.stringify([salt, clientId])
  const known = keys.get(name)
  if (known !== undefined) return known
  const hmac = createHmac('sha256', salt).update(JSON.stringify(['pairwise subject 2', clientId]))
  const key = createSecretKey(hmac.digest())
  keys.set(name, key)
  return key
}

const keys = leastRecentlyUsed<string, KeyObject>(1_000)

import type { IncomingMessage } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import { onceForEach } from './remembered.ts'

const hopsAtMost = 20

/**
 * The address a request comes from, as far as it can be believed: that of the connection, or behind a trusted proxy the last
 * one in `X-Forwarded-For` that is not a trusted proxy itself. What anybody else wrote there counts for nothing.
 *
 * Undefined when a trusted proxy does not say: then there is nothing to tell callers apart by.
 */
export function clientAddress(request: IncomingMessage, trustedProxyAddresses: readonly string[]): string | undefined {
  const { address: peer, network } = peerOf(request.socket)
  if (!trustedProxyAddresses.includes(peer)) return network
  const header = request.headers['x-forwarded-for']
  const hops = (typeof header === 'string' ? header : '').split(',').slice(-hopsAtMost)
  const outside = hops.map((hop) => withoutMapping(hop.trim())).findLast((hop) => !trustedProxyAddresses.includes(hop))
  return outside === undefined || outside === '' ? undefined : networkOf(copied(outside))
}

/** What is cut out of a text keeps all of it, as long as a stranger likes; and addresses are kept by the hundred thousand (rate-limit.ts). */
const copied = (text: string): string => Buffer.from(text).toString()

/** Of the connection, whoever speaks on it. Empty when it is gone. */
export const peerAddress = ({ socket }: IncomingMessage): string => peerOf(socket).address

type Peer = { readonly address: string; readonly network: string | undefined }

/** The same for as long as a connection lasts. */
const peerOf = onceForEach(({ remoteAddress = '' }: Socket): Peer => {
  const address = withoutMapping(remoteAddress)
  return { address, network: address === '' ? undefined : networkOf(address) }
})

const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')

/** Who has one IPv6 address has at least the 2⁶⁴ of its network. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

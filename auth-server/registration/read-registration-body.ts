import type { Context } from '../http/request-context.ts'
import { refuseRegistration } from './registration-refusal.ts'

/** UKDCR-19. */
export const registrationAtMostBytes = 64 * 1024

/** @throws {Refusal} `invalid_client_metadata` */
export async function readRegistrationBody(ctx: Context): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length
    if (length > registrationAtMostBytes) {
      ctx.set('Connection', 'close')
      ctx.req.resume()
      return refuseRegistration('invalid_client_metadata', `the body has more than ${registrationAtMostBytes} bytes`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

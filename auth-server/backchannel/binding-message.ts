import { errors, type KoaContextWithOIDC } from 'oidc-provider'

/** Short enough to compare at a glance, and nothing in it that looks like something else (CIBA 7.1). */
const shape = /^[A-Za-z0-9._+/!?#-](?:[A-Za-z0-9 ._+/!?#-]{0,18}[A-Za-z0-9._+/!?#-])?$/

/** @throws {InvalidBindingMessage} */
export function assertBindingMessage(_ctx: KoaContextWithOIDC, message: string | undefined): void {
  if (message !== undefined && !shape.test(message))
    throw new errors.InvalidBindingMessage('binding_message must have 1 to 20 characters: letters, digits, spaces inside and ._+/!?#-')
}

import { registerHooks } from 'node:module'

const ofTheLibrary = '/node_modules/oidc-provider/'
const replacement = new URL('./remembered-jose.ts', import.meta.url).href

/**
 * From now on oidc-provider finds ./remembered-jose.ts where it imports `jose`. Whatever else imports jose finds jose, and so
 * does a process that does not call this: the library has no place where its verification could be handed in, and a package in
 * jose's place would be there for every process of the repository.
 *
 * To be called before oidc-provider is imported.
 */
export function useRememberedJose(): { readonly assertInPlace: () => void } {
  let found = false
  registerHooks({
    resolve(specifier, context, next) {
      const ours = specifier === 'jose' && context.parentURL?.includes(ofTheLibrary) === true
      found ||= ours
      return next(ours ? replacement : specifier, context)
    },
  })
  return {
    assertInPlace() {
      if (!found) throw new Error('oidc-provider was loaded before its jose could be replaced')
    },
  }
}

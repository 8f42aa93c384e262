import { registerHooks } from 'node:module'

type Replacement = {
  /** As it is written where it is imported. */
  readonly specifier: string
  /** Part of the address of who imports it. */
  readonly importedBy: string
  readonly by: string
}

const ofOurs = (file: string) => new URL(file, import.meta.url).href

const replacements: readonly Replacement[] = [
  { specifier: 'jose', importedBy: '/node_modules/oidc-provider/', by: ofOurs('../signatures/remembered-jose.ts') },
  {
    specifier: './router.js',
    importedBy: '/node_modules/oidc-provider/lib/helpers/initialize_app.js',
    by: ofOurs('./context-router.ts'),
  },
  ...['./validate_dpop.js', '../helpers/validate_dpop.js', '../../helpers/validate_dpop.js'].map((specifier) => ({
    specifier,
    importedBy: '/node_modules/oidc-provider/lib/',
    by: ofOurs('./dpop-replay.ts'),
  })),
]

/**
 * From now on oidc-provider finds modules of ours where it imports `jose`, its router and its look at proofs. Whatever else imports
 * them finds them as they are, and so does a process that does not call this: the library has no place where they could be handed in,
 * and a package in their place would be there for every process of the repository.
 *
 * To be called before oidc-provider is imported.
 */
export function useOwnModules(): { readonly assertInPlace: () => void } {
  const found = new Set<Replacement>()
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL = '' } = context
      const ours = replacements.find((one) => one.specifier === specifier && parentURL.includes(one.importedBy))
      if (ours === undefined) return next(specifier, context)
      found.add(ours)
      return next(ours.by, context)
    },
  })
  return {
    assertInPlace() {
      for (const one of replacements)
        if (!found.has(one)) throw new Error(`oidc-provider was loaded before its ${one.specifier} could be replaced`)
    },
  }
}

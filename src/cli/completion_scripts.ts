/** A script as it stands here; `\${` is `${`. */
function script({ raw: [text = ""] }: TemplateStringsArray): string {
  return text.replaceAll("\\${", "${");
}

/**
 * What shells ask `stowage completion SHELL -- WORD…` with. The answer is a candidate a line, with
 * what it does behind a tab; or `:files` or `:folders`.
 */
export const COMPLETION_SCRIPTS: Readonly<Record<string, string>> = {
  bash: script`# bash completion for stowage
_stowage() {
  local line=\${COMP_LINE:0:COMP_POINT} answer words IFS=$' \t\n'
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=("")
  answer=$("\${1/#\~/$HOME}" completion bash -- "\${words[@]:1}" 2>/dev/null) || return
  COMPREPLY=()
  case $answer in
  '') ;;
  :files) compopt -o default ;;
  :folders) compopt -o dirnames ;;
  *) mapfile -t COMPREPLY < <(cut -f1 <<<"$answer") ;;
  esac
}
complete -F _stowage stowage`,
  zsh: script`#compdef stowage
_stowage() {
  local answer
  local -a found
  answer="$("\${(Q)words[1]/#\~/$HOME}" completion zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"
  case $answer in
  '') ;;
  :files) _files ;;
  :folders) _files -/ ;;
  *)
    found=("\${(@f)answer}")
    found=("\${(@)found//:/\\:}")
    found=("\${(@)found/$'\t'/:}")
    _describe stowage found
    ;;
  esac
}
if [[ $funcstack[1] == _stowage ]]; then _stowage; else compdef _stowage stowage; fi`,
  fish: script`# fish completion for stowage
function __stowage_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l answer ($words[1] completion fish -- $words[2..-1] 2>/dev/null)
  switch "$answer[1]"
    case :files
      __fish_complete_path (commandline -ct)
    case :folders
      __fish_complete_directories (commandline -ct)
    case '*'
      printf '%s\n' $answer
  end
end
complete -c stowage -f -a '(__stowage_complete)'`,
};

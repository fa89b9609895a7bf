"use strict";
// What the pages beside the live view have in common.
const $=id=>document.getElementById(id);
function tell(text,fine){$("told").textContent=text;$("told").className=fine?"fine":""}
const LOST="the board does not answer";
// The answer to a request, as JSON. `tries`: how many have been made; below 0, more are.
async function ask(path,{tries=0,...options}={}){
 let answer;
 // A board that was unplugged, or a network that is gone, answers nothing, and says not even that.
 try{answer=await fetch(path,{cache:"no-store",signal:AbortSignal.timeout(60000),...options})}catch(e){throw new Error(LOST)}
 if(answer.status===401){location.href="./";throw new Error("a token is needed")}
 // Someone else is served now.
 if(answer.status===503&&tries<5){await new Promise(again=>setTimeout(again,1000));return ask(path,{...options,tries:tries+1})}
 if(!answer.ok)throw new Error((await answer.text()).trim()||"the line answered "+answer.status);
 // It may end in the middle of it, too.
 return answer.json().catch(()=>{throw new Error(LOST)});
}
// A request to change something; `version`: that of the program which served this page.
const post=(path,version,body)=>ask(path,{method:"POST",headers:{"Content-Type":"application/json","Lineside-Version":version},body:JSON.stringify(body)});

let state=null,threshold=null,busy=false,shown="",teaching=null,watched=false;
// Marked frames by the name of their picture: `score` is that of the version in use, `other` that of the one which it is compared with; null where
// that has not judged them.
const frames=new Map();let good=[],defect=[],otherGood=[],otherDefect=[];
// The version that the one in use is compared with: the one beside it, or the one before while it is on trial.
const other=()=>state?.shadow??(state?.confirmed?null:state?.previous)??null;
// The slider's place is the exponent of the share of normal frames beyond the threshold: 3 is one in a thousand.
const at=place=>place<=0?0:+(1-10**-place).toPrecision(8),place=t=>Math.min(6,t>=1?6:-Math.log10(1-t));
const format=t=>t==null?"–":String(+t.toPrecision(8));
const rate=t=>{const r=1000*(1-t);return r>=10?r.toFixed(0):r>=.1?r.toFixed(1):r.toPrecision(1)};
// How many of ascending scores lie below.
function below(scores,t){let low=0,high=scores.length;while(low<high){const middle=low+high>>1;if(scores[middle]<t)low=middle+1;else high=middle}return low}
const alarms=t=>good.length-below(good,t),misses=t=>below(defect,t);
const otherAlarms=t=>otherGood.length-below(otherGood,t),otherMisses=t=>below(otherDefect,t);
function count(){
 const scores=(mark,of)=>[...frames.values()].filter(f=>(f.mark==="good")===mark&&f[of]!=null).map(f=>f[of]).sort((a,b)=>a-b);
 good=scores(true,"score");defect=scores(false,"score");otherGood=scores(true,"other");otherDefect=scores(false,"other");
 $("n-good").textContent=good.length;$("n-defect").textContent=defect.length;
}
function chart(){
 const svg=$("chart"),ns="http://www.w3.org/2000/svg",top=Math.max(1,good.length,defect.length,otherGood.length,otherDefect.length);
 svg.textContent="";
 const add=(name,attributes)=>{const e=document.createElementNS(ns,name);for(const k in attributes)e.setAttribute(k,attributes[k]);svg.append(e)};
 const x=v=>v*50,y=n=>97-94*n/top;
 for(const n of [0,top/2,top])add("line",{x1:0,x2:300,y1:y(n),y2:y(n),stroke:"var(--line)","vector-effect":"non-scaling-stroke"});
 const curve=(of,attributes)=>add("polyline",{points:Array.from({length:301},(_,i)=>x(i/50)+","+y(of(at(i/50)))).join(" "),fill:"none","stroke-width":2.5,"vector-effect":"non-scaling-stroke",...attributes});
 curve(alarms,{stroke:"var(--bad)"});curve(misses,{stroke:"var(--mark)","stroke-dasharray":"7 4"});
 if(compares()){const thin={"stroke-width":1.2,opacity:.8};curve(otherAlarms,{stroke:"var(--bad)",...thin});curve(otherMisses,{stroke:"var(--mark)","stroke-dasharray":"7 4",...thin})}
 const upright=(t,attributes)=>add("line",{x1:x(place(t)),x2:x(place(t)),y1:0,y2:100,"vector-effect":"non-scaling-stroke",...attributes});
 const now=state?.active?.threshold;
 if(now!=null)upright(now,{stroke:"var(--soft)","stroke-width":1.5,"stroke-dasharray":"3 3"});
 if(threshold!=null)upright(threshold,{stroke:"var(--ink)","stroke-width":2.5});
}
// Whether the other version has judged marked frames.
const compares=()=>other()?.threshold!=null&&otherGood.length+otherDefect.length>0;
function showOther(){
 const one=other(),is=compares();
 for(const e of document.querySelectorAll(".other"))e.hidden=!is;
 if(!is)return;
 const of=(n,all,own)=>all===own?String(n):n+" of "+all;
 $("h-other").textContent=state.shadow?"beside":"before";
 $("t-other").textContent=format(one.threshold);$("r-other").textContent=rate(one.threshold);
 $("f-other").textContent=of(otherAlarms(one.threshold),otherGood.length,good.length);$("m-other").textContent=of(otherMisses(one.threshold),otherDefect.length,defect.length);
 $("about-other").textContent=$("h-other").textContent+": "+one.name+" "+one.version+(state.shadow?", judged beside the one in use":", in use before")+"; its lines are thin.";
}
function preview(){
 showOther();
 const now=state?.active?.threshold;
 const write=(suffix,t)=>{$("t-"+suffix).textContent=format(t);$("f-"+suffix).textContent=t==null||!frames.size?"–":alarms(t);$("m-"+suffix).textContent=t==null||!frames.size?"–":misses(t);$("r-"+suffix).textContent=t==null?"–":rate(t)};
 write("now",now);write("new",threshold);
 if(threshold!=null)$("slider").setAttribute("aria-valuetext",format(threshold)+": "+alarms(threshold)+" false alarms, "+misses(threshold)+" misses");
 chart();sides(now);buttons();
}
function sides(now){
 const changed=[],one=other(),moved=threshold!==now;
 // With the slider at its place the versions are compared.
 const before=f=>f.score>=now,after=moved?f=>f.score>=threshold:f=>f.other>=one.threshold;
 if(now!=null&&threshold!=null&&(moved||compares()))for(const f of frames.values()){
  if(f.score==null||!moved&&f.other==null||before(f)===after(f))continue;
  const found=after(f),worse=found===(f.mark==="good");
  changed.push({f,worse,text:f.mark==="good"?found?"would be a false alarm":"no false alarm any more":found?"would be found":"would be missed"});
 }
 changed.sort((a,b)=>b.worse-a.worse||Math.abs(a.f.score-threshold)-Math.abs(b.f.score-threshold));
 $("changes").textContent=(moved||!compares()?"":state.shadow?"with the version beside ":"with the version before ")+"· "+changed.length+(changed.length===1?" picture":" pictures");
 const most=60,key=JSON.stringify(changed.slice(0,most).map(({f,text})=>[f.name,text,moved]));
 $("more").textContent=changed.length>most?"and "+(changed.length-most)+" more":changed.length?"":"none";
 if(key===shown)return;shown=key;
 const list=$("list");list.textContent="";
 for(const {f,worse,text} of changed.slice(0,most)){
  const li=document.createElement("li"),link=document.createElement("a"),img=document.createElement("img"),about=document.createElement("div"),word=document.createElement("div");
  link.href="events/"+f.name;img.loading="lazy";img.decoding="async";img.alt=(f.mark==="good"?"good":f.kind)+", score "+f.score;img.src=link.href;link.setAttribute("aria-label",img.alt);
  // A picture that finds all places taken is asked for again.
  let tries=0;
  img.onerror=()=>{if(++tries<6)setTimeout(()=>{img.src=link.href+"?"+tries},300*tries);else{img.removeAttribute("src");img.alt="this picture was deleted"}};
  link.append(img);word.textContent=(worse?"✗ ":"✓ ")+text;word.className=worse?"worse":"better";
  const short=score=>score===Infinity?"not found":score<.99?score.toFixed(3):format(score);
  about.textContent=(f.mark==="good"?"marked good":"marked "+f.kind)+" · "+short(f.score)+(moved?"":" → "+short(f.other));
  li.append(link,word,about);list.append(li);
 }
}
function choose(t,by){
 if(!(t>=0&&t<=1))return;
 threshold=t;
 if(by!=="slider")$("slider").value=place(t);
 if(by!=="exact")$("exact").value=format(t);
 preview();
}
function buttons(){
 const may=state?.may_change&&!busy,now=state?.active?.threshold,can=may&&!state.problem;
 for(const id of ["slider","exact"])$(id).disabled=now==null;
 $("reset").disabled=now==null||threshold===now;
 for(const id of ["shadow","use"])$(id).disabled=!can||threshold==null||threshold===now;
 for(const id of ["confirm","rollback","end"])$(id).disabled=!may;
 const job=teaching?.job,works=job&&(job.state==="running"||job.state==="collecting");
 $("judging").hidden=!missing().length&&!(works&&job.what==="judge");
 $("judge").textContent=works&&job.what==="judge"?"Cancel":"Judge the marked frames";
 $("judge").disabled=!teaching||busy||!teaching.may_teach||!!teaching.judge_problem||works&&job.what!=="judge";
 $("judged").textContent=!teaching?"":works?job.what==="judge"?"judged beside inspection: "+(job.percent??0)+" %":"a job of the page “teach” runs":teaching.judge_problem??(!teaching.may_teach?"Only to look at: judging needs the right to teach.":"by "+missing().map(one=>one.name+" "+one.version+(one.id===state.active.id?" (in use)":"")).join(" and "));
}
// The versions that have not judged all marked frames which are shown.
function missing(){
 const one=other(),all=[...frames.values()];
 return [state?.active?.id&&all.some(f=>f.score==null)?state.active:null,one?.threshold!=null&&all.some(f=>f.other==null)?one:null].filter(Boolean);
}
const time=s=>s<5400?Math.ceil(s/60)+" min":Math.ceil(s/3600)+" h";
function show(){
 const {active,previous,shadow}=state,name=one=>one.name+" "+one.version+(one.threshold==null?"":", threshold "+format(one.threshold));
 $("active").textContent=active?"In use: "+name(active):"";
 const left=state.trial_left_s;
 $("state").textContent=!state.home?"":!state.confirmed?left?"It is on trial for another "+time(left)+": confirm it, or roll back.":"Nobody has confirmed it yet.":shadow?"Judged beside it: "+name(shadow)+". Confirm makes that the one in use.":state.reverted?"The line went back to it by itself: "+state.reverted:"";
 $("previous").textContent=previous?"Before: "+name(previous):"";
 $("confirm").hidden=!state.home||state.confirmed&&!shadow;$("confirm").textContent=state.confirmed?"Confirm what is judged beside":"Confirm";
 $("rollback").hidden=!previous;$("end").hidden=!shadow;
 $("problem").textContent=state.problem??(state.may_change?"":"Only to look at: setting it needs status_page.control and the right to teach.");
}
async function versions(){
 state=await ask("bundle");show();
 if(threshold==null&&state.active?.threshold!=null)choose(state.active.threshold);
 preview();
}
// What a version found of the marked frames, by the name of their picture.
async function scoresOf(one){
 const found=new Map();
 if(!one?.has_scores)return found;
 const answer=await fetch("scores?version="+one.id,{cache:"no-store",signal:AbortSignal.timeout(60000)});
 if(answer.ok)for(const line of (await answer.text()).split("\n"))if(line){const f=JSON.parse(line);found.set(f.file.split("/").pop(),f.found?f.score:Infinity)}
 return found;
}
// All marked frames, page by page.
async function load(){
 teaching=await ask("teaching").catch(()=>null);
 const marks=await ask("marks"),total=marks.good+Object.values(marks.defect).reduce((a,b)=>a+b,0),same=new Set(state.same_scores),seen=new Set();
 const one=other(),own=await scoresOf(state.active),its=one?.scores_as_active?null:await scoresOf(one);
 let next=null,others=0;
 do{
  const page=await ask("events?mark=any&kind=event,normal,shadow&limit=200"+(next?"&before="+next:""));
  for(const e of page.events){
   const name=e.files.original,key=name.split("/").pop();
   if(seen.has(key))continue;seen.add(key);
   // A part that was not found, or a frame of an unknown product, is a defect at each threshold.
   const score=same.has(e.bundle)?e.cause?Infinity:e.score:own.get(key)??null;
   if(score==null)others++;
   frames.set(key,{name,score,other:its?its.get(key)??null:score,mark:e.mark,kind:e.mark_kind});
  }
  next=page.next;count();preview();
  $("counts").textContent=seen.size+" of "+total+" marked frames"+(next?" so far":"");
 }while(next);
 const lost=total-seen.size,parts=[];
 if(others)parts.push(others+" were judged by bundles with other scores");
 if(lost>0)parts.push("the records of "+lost+" were deleted to stay within output.records");
 $("uncounted").textContent=parts.length?"Not counted: "+parts.join("; ")+". For all of them: lineside eval BUNDLE --normal "+marks.folder+"/good --defect "+marks.folder+"/defect":total?"":"Nothing is marked yet: mark frames on the review page.";
}
// Everything anew: until it is there, no counts of before are shown as those of now.
async function again(){
 $("counts").textContent="reading the marked frames …";$("uncounted").textContent="";
 frames.clear();count();preview();
 await versions();await load();
}
// Has the versions that lack scores judge the marked frames, one after the other, or cancels that.
async function judge(){
 tell("");
 const order=body=>post("teaching",state.program,body);
 try{
  if(teaching?.job?.state==="running"){teaching=await order({do:"cancel"});return}
  for(const one of missing()){
   teaching=await order({do:"judge",version:one.id});
   if(await watch()!=="done")break;
  }
  await again();
 }catch(e){tell(e.message)}
}
// Follows a job until it ends, and returns how.
async function watch(){
 watched=true;
 try{
  for(let lost=0;teaching?.job?.state==="running";){
   buttons();await new Promise(again=>setTimeout(again,500));
   // The job goes on without this page: a moment without the board is no end of it.
   try{teaching=await ask("teaching",{tries:-60});if(lost)tell("");lost=0}catch(e){if(++lost>240)throw e;tell(e.message)}
  }
 }finally{watched=false;buttons()}
 const job=teaching?.job;
 if(job?.problem||job?.warned)tell(job.problem??job.warnings[0]);else if(job?.state==="cancelled")tell("cancelled");
 return job?.state;
}
// `restarts`: whether the line begins anew for it.
async function change(body,done,restarts=true){
 busy=true;buttons();tell("");
 const before=state.started;
 try{
  state=await post("bundle",state.program,{...body,of:state.active.id});
  show();
  if(restarts){
   tell("the line takes it …",true);
   for(let tries=0;state.started===before&&tries<240;tries++){await new Promise(again=>setTimeout(again,500));try{state=await ask("bundle",{tries:9})}catch(e){}}
  }
  if(restarts&&state.started===before)tell("it is written, and the line has not taken it: its log says why");else tell(done,true);
 }catch(e){tell(e.message)}
 busy=false;threshold=null;
 try{await again()}catch(e){tell(e.message);preview()}
}
$("slider").oninput=()=>choose(at(+$("slider").value),"slider");
$("exact").oninput=()=>{if($("exact").value!=="")choose(+$("exact").value,"exact")};
$("reset").onclick=()=>choose(state.active.threshold);
$("shadow").onclick=()=>change({do:"threshold",threshold,role:"shadow"},"it is judged beside the one in use");
$("use").onclick=()=>change({do:"threshold",threshold,role:"active"},"it is in use, on trial");
$("confirm").onclick=()=>change({do:"confirm"},"confirmed",state.confirmed);
$("rollback").onclick=()=>change({do:"rollback"},"the version before is in use again");
$("end").onclick=()=>change({do:"end_shadow"},"nothing is judged beside it any more");
// A finger or pointer on the chart moves the slider.
const move=event=>{const box=$("chart").getBoundingClientRect();if(!$("slider").disabled)choose(at(Math.round(600*Math.min(1,Math.max(0,(event.clientX-box.left)/box.width)))/100))};
$("chart").onpointerdown=event=>{$("chart").setPointerCapture(event.pointerId);move(event)};
$("chart").onpointermove=event=>{if($("chart").hasPointerCapture(event.pointerId))move(event)};
$("judge").onclick=judge;
versions().then(load).then(async()=>{if(teaching?.job?.what==="judge"&&teaching.job.state==="running"&&await watch()==="done")await again()}).catch(e=>tell(e.message));
